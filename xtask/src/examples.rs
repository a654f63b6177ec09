//! The examples: each is built and run as a newcomer would, and says what it promises.

mod promises;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use serde_json::Value;
use xshell::Shell;

use self::promises::{EXAMPLES, OTHER_WAYS};
use crate::{steps, workspace};

/// The package that they are in.
const PACKAGE: &str = "mcp-examples";
/// The README promises that each ends in this time.
const PROMISED: Duration = Duration::from_secs(10);
/// After this it is ended, so that nobody waits for one that hangs.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn run() -> Result<()> {
    let shell = workspace::shell()?;
    let own = own_workspaces(&shell)?;
    let mut faults = list_faults(&shell, &own)?;
    faults.extend(undocumented(&shell, &own)?);

    // From the root, as documented: another choice of packages would be another build.
    let mut programs = build("the workspace's", cargo_build().arg("--examples"))?;
    for name in &own {
        programs.extend(build_own(name)?);
    }
    let mut rows = Vec::new();
    let plain = EXAMPLES.iter().map(|(name, says)| (*name, &[][..], *says));
    for (name, arguments, says) in plain.chain(OTHER_WAYS.iter().copied()) {
        let start = steps::now();
        let shown = [&[name], arguments].concat().join(" ");
        let outcome = match programs.get(name) {
            Some(program) => check(&shown, program, arguments, says),
            None => Err(anyhow!("was not built")),
        };
        rows.push((shown, start.elapsed(), outcome));
    }

    println!("\n{:<27} {:>7}  verdict", "example", "time");
    for (name, took, outcome) in rows {
        let verdict = match outcome {
            Ok(()) if took > PROMISED => "FAILED: takes longer than promised".to_owned(),
            Ok(()) => "ok".to_owned(),
            Err(error) => format!("FAILED: {error:#}"),
        };
        println!("{name:<27} {:>7}  {verdict}", steps::seconds(took));
        if verdict != "ok" {
            faults.push(format!("{name}: {verdict}"));
        }
    }
    ensure!(faults.is_empty(), "{}", faults.join("; "));
    Ok(())
}

/// Runs one, and looks at what it says.
fn check(name: &str, program: &Path, arguments: &[&str], says: &[&str]) -> Result<()> {
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(workspace::root()?)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut output = child.stdout.take().context("no output")?;
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = Vec::new();
        let read = output.read_to_end(&mut text);
        tell.send(read.map(|_| String::from_utf8_lossy(&text).into_owned()))
    });
    let Ok(text) = told.recv_timeout(PATIENCE) else {
        child.kill()?;
        child.wait()?;
        bail!("does not end");
    };
    let (text, status) = (text?, child.wait()?);
    let missing = first_missing(&text, says);
    if !status.success() || missing.is_some() {
        println!("\n==> {name}\n{text}");
    }
    ensure!(status.success(), "{status}");
    if let Some(missing) = missing {
        bail!("does not say `{missing}`, or not in its place");
    }
    Ok(())
}

/// The first piece that does not follow those before it.
fn first_missing<'a>(text: &str, says: &[&'a str]) -> Option<&'a str> {
    let mut rest = text;
    says.iter().copied().find(|piece| {
        let found = rest.split_once(piece);
        rest = found.map_or(rest, |(_, after)| after);
        found.is_none()
    })
}

fn cargo_build() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    command.args([
        "build",
        "--quiet",
        "--message-format",
        "json-render-diagnostics",
    ]);
    command
}

/// Builds a workspace of its own into the same folder, so that what both use is built once.
fn build_own(name: &str) -> Result<BTreeMap<String, PathBuf>> {
    let manifest = format!("examples/{name}/Cargo.toml");
    let mut command = cargo_build();
    command.args(["--locked", "--manifest-path", &manifest]);
    if std::env::var_os("CARGO_TARGET_DIR").is_none() {
        command.env("CARGO_TARGET_DIR", workspace::root()?.join("target"));
    }
    let built = build(name, &mut command).with_context(|| {
        format!(
            "`{name}` does not build; where its lock file is out of date, \
             `cargo update --workspace --manifest-path {manifest}` mends it"
        )
    })?;
    // The package spells it otherwise than the folder.
    let program = built.into_values().next();
    let program = program.with_context(|| format!("`{name}` is no program"))?;
    Ok(BTreeMap::from([(name.to_owned(), program)]))
}

/// The programs that a build gives, by the names of their targets.
fn build(what: &str, command: &mut Command) -> Result<BTreeMap<String, PathBuf>> {
    let start = steps::now();
    let output = command
        .current_dir(workspace::root()?)
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "the build failed");
    let text = String::from_utf8_lossy(&output.stdout);
    let messages = text.lines().map(serde_json::from_str::<Value>);
    let programs = messages.filter_map(|message| {
        let message = message.ok()?;
        let program = message.get("executable")?.as_str()?;
        let name = workspace::text(message.get("target")?, "name");
        Some((name.to_owned(), PathBuf::from(program)))
    });
    let programs = programs.collect();
    println!("built {what} in {}", steps::seconds(start.elapsed()));
    Ok(programs)
}

/// The examples that are workspaces of their own: what they bring stays out of ours.
fn own_workspaces(shell: &Shell) -> Result<BTreeSet<String>> {
    let mut own = BTreeSet::new();
    for folder in shell.read_dir("examples")? {
        let name = folder.file_name().and_then(|name| name.to_str());
        if let Some(name) = name.filter(|_| folder.join("Cargo.toml").exists()) {
            own.insert(name.to_owned());
        }
    }
    Ok(own)
}

/// The sources of the workspace's examples, by name.
fn targets(shell: &Shell) -> Result<Vec<(String, String)>> {
    let packages = workspace::packages(shell)?;
    let ours = packages
        .iter()
        .filter(|package| workspace::text(package, "name") == PACKAGE);
    let targets = ours.flat_map(|package| {
        let targets = package.get("targets").and_then(Value::as_array);
        targets.into_iter().flatten()
    });
    let examples = targets.filter(|target| {
        let kinds = target.get("kind").and_then(Value::as_array);
        kinds.is_some_and(|kinds| kinds.contains(&"example".into()))
    });
    let text = |target, field| workspace::text(target, field).to_owned();
    Ok(examples
        .map(|target| (text(target, "name"), text(target, "src_path")))
        .collect())
}

/// What is there and not in the list above, and the other way round.
fn list_faults(shell: &Shell, own: &BTreeSet<String>) -> Result<Vec<String>> {
    let there = targets(shell)?.into_iter().map(|(name, _)| name);
    let there: BTreeSet<String> = there.chain(own.iter().cloned()).collect();
    let listed: BTreeSet<String> = EXAMPLES
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    let unlisted = there.difference(&listed);
    let unlisted =
        unlisted.map(|name| format!("{name}: not in the list of xtask/src/examples/promises.rs"));
    let gone = listed.difference(&there);
    let gone = gone.map(|name| format!("{name}: listed, and not there"));
    Ok(unlisted.chain(gone).collect())
}

/// Those whose first words do not say how to run them.
fn undocumented(shell: &Shell, own: &BTreeSet<String>) -> Result<Vec<String>> {
    let mut sources = targets(shell)?;
    for (name, source) in &mut sources {
        *source = fs::read_to_string(&source)?;
        *name = format!("--example {name}");
    }
    for name in own {
        let source = shell.read_file(format!("examples/{name}/src/main.rs"))?;
        sources.push((
            format!("--manifest-path examples/{name}/Cargo.toml"),
            source,
        ));
    }
    sources.retain(|(how, source)| {
        let words = source.lines().take_while(|line| line.starts_with("//!"));
        !words.into_iter().any(|line| line.contains(how.as_str()))
    });
    let faults = sources.into_iter();
    Ok(faults
        .map(|(how, _)| format!("{how}: not in its own documentation"))
        .collect())
}

#[test]
fn what_an_example_says_is_looked_for_in_order() {
    let text = "one\ntwo of three\nfour";
    assert_eq!(first_missing(text, &["one", "two", "four"]), None);
    assert_eq!(first_missing(text, &["two", "one"]), Some("one"));
    assert_eq!(first_missing(text, &["one", "one"]), Some("one"));
}
