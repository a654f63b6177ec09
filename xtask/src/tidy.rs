//! House rules that no other tool knows, over the files that git tracks.

mod rules;

use anyhow::{Result, ensure};
use xshell::cmd;

use crate::workspace;

pub(crate) fn run() -> Result<()> {
    let found = check()?;
    for warning in &found.warnings {
        println!("warning: {warning}");
    }
    for fault in &found.faults {
        eprintln!("{fault}");
    }
    ensure!(
        found.faults.is_empty(),
        "{} house rules are broken",
        found.faults.len()
    );
    Ok(())
}

fn check() -> Result<rules::Found> {
    let shell = workspace::shell()?;
    let files = cmd!(shell, "git ls-files -z").quiet().read()?;
    let mut found = rules::Found::default();
    for path in files.split_terminator('\0') {
        // Deleted in the work tree, or not text: no rule is about those.
        let Ok(text) = std::fs::read_to_string(workspace::root()?.join(path)) else {
            continue;
        };
        found.look_at(path, &text);
    }
    Ok(found)
}

#[test]
fn the_house_is_tidy() {
    let found = check().unwrap();
    assert!(found.faults.is_empty(), "{:#?}", found.faults);
}
