//! The examples that need nothing and end by themselves.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;
use xshell::cmd;

use crate::{steps, workspace};

/// Name and promised time. The README says how long each takes.
const EXAMPLES: &[(&str, Duration)] = &[("quickstart", Duration::from_secs(10))];

pub(crate) fn run() -> Result<()> {
    let shell = workspace::shell()?;
    let packages = workspace::packages(&shell)?;
    for (name, promised) in EXAMPLES {
        if !packages.iter().any(|package| has_example(package, name)) {
            println!("there is no example `{name}` yet: skipped");
            continue;
        }
        cmd!(shell, "cargo build --quiet --example {name}").run()?;
        let start = steps::now();
        cmd!(shell, "cargo run --quiet --example {name}").run()?;
        let took = start.elapsed();
        ensure!(
            took <= *promised,
            "example `{name}` took {}, more than the promised {}",
            steps::seconds(took),
            steps::seconds(*promised)
        );
    }
    Ok(())
}

fn has_example(package: &Value, name: &str) -> bool {
    let targets = package.get("targets").and_then(Value::as_array);
    targets.into_iter().flatten().any(|target| {
        let example = target
            .get("kind")
            .and_then(Value::as_array)
            .is_some_and(|kinds| kinds.iter().any(|kind| kind == "example"));
        example && workspace::text(target, "name") == name
    })
}
