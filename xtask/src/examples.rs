//! The examples: each is built and run as a newcomer would, and says what it promises.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use xshell::{Shell, cmd};

use crate::{steps, workspace};

/// An example, and pieces of what it prints, in order.
type Example = (&'static str, &'static [&'static str]);

/// Every example that there is.
const EXAMPLES: &[Example] = &[
    (
        "quickstart",
        &[
            "alice@acme has whoami, add, slow, read-notes",
            "bob@globex has whoami, add, slow, book_room",
            "1 hit, 2 misses",
            "mcp_call tool=\"whoami\"",
            "whoami says: alice of acme",
            "read-notes: there is no tool",
            "must be number",
            "whoami says: bob of globex",
            "attempts=2",
            "HOME NOTES_TOKEN PATH",
            "1 of them refused",
        ],
    ),
    ("bearer", &["read-notes: Reads", "20 + 22 = 42"]),
    (
        "custom_headers",
        &["alice of acme", "tools/call came with trace-2", "refused: "],
    ),
    (
        "refreshing_token",
        &[
            "reason: First",
            "reason: ",
            "call 20: alice",
            " 0 requests refused",
        ],
    ),
    ("custom_provider", &["alice of acme", "bob of acme"]),
    (
        "stdio_env",
        &[
            "SERVICE_TOKEN",
            "/no/such/folder",
            "`NO_SUCH_VARIABLE` is not set",
        ],
    ),
    (
        "multi_tenant",
        &[
            "alice's servers: {\"archive\":{\"failed\":\"connect\"},\"notes\":\"active\"",
            "principal=alice@acme",
            "alice /call/notes_whoami: 200 alice of acme",
            "bob /call/notes_whoami: 200 bob of globex",
            "carol /call/notes_whoami: 200 carol of initech",
            "the MCP servers got 0 requests",
            "bob /call/notes_read-notes: 404",
            "mallory /call/notes_whoami: 401",
            "alice /call/notes_add: 400",
            "decided_by=\"RateLimit\"",
            "carol /call/rooms_whoami: 429",
            "bob /call/rooms_whoami: 200",
            "alice /logout/rooms: 204",
            "rooms gave alice 2 tokens",
        ],
    ),
    (
        "audit",
        &[
            "\"param_model\":\"MCP_whoami_Input\"",
            "shout: HEY",
            "\"decided_by\":\"NoSlowTools\"",
            "slow: ",
            "nobody has the time",
        ],
    ),
    (
        "oauth_client_credentials",
        &[
            "done",
            "/.well-known/oauth-authorization-server",
            "POST /token",
        ],
    ),
    (
        "oauth_login",
        &[
            "must authorize first",
            "alice has authorized",
            "done",
            "revoked: true",
        ],
    ),
    (
        "dpop",
        &[
            "bob: done",
            "2 calls took 4 requests",
            "a key of their own: true",
            "as a bearer token: 401",
            "without a proof: 401",
            "that was used: 401",
        ],
    ),
    (
        "workload_identity",
        &[
            "done",
            "done",
            "test-platform-token-1",
            "test-platform-token-2",
        ],
    ),
    (
        "rmcp_bridge",
        &["rmcp says: alice of acme", "given 2 tokens"],
    ),
    (
        "openai_tools",
        &[
            "== OpenAI\n",
            "strict\": true",
            "left out: ",
            "== Anthropic",
            "== Gemini",
        ],
    ),
    (
        "single_crate_auth",
        &[
            "the source is asked",
            "send authorization, x-tenant-id",
            "known as ",
        ],
    ),
    ("single_crate_stdio", &["environment", "1 + 2 = 3"]),
    (
        "rig_agent",
        &["alice calls weather_now", "answer: It is 21 degrees"],
    ),
];
/// The README promises that each ends in this time.
const PROMISED: Duration = Duration::from_secs(10);
/// After this it is ended, so that nobody waits for one that hangs.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn run() -> Result<()> {
    let shell = workspace::shell()?;
    let own = own_workspaces(&shell)?;
    let mut faults = list_faults(&shell, &own)?;
    faults.extend(undocumented(&shell, &own)?);

    println!("building");
    let start = steps::now();
    // From the root, as it is run: another choice of packages would be another build.
    cmd!(shell, "cargo build --quiet --examples").run()?;
    println!("  the workspace's: {}", steps::seconds(start.elapsed()));
    for name in &own {
        let start = steps::now();
        let built = cargo(name, true, "build")?.status()?;
        ensure!(
            built.success(),
            "`{name}` does not build; if its lock file is out of date, `cargo update --workspace \
             --manifest-path examples/{name}/Cargo.toml` mends it"
        );
        println!("  {name}: {}", steps::seconds(start.elapsed()));
    }

    let mut rows = Vec::new();
    for example in EXAMPLES {
        let start = steps::now();
        let outcome = check(example, own.contains(example.0));
        rows.push((example.0, start.elapsed(), outcome));
    }
    println!("\n{:<26} {:>7}  verdict", "example", "time");
    for (name, took, outcome) in rows {
        let verdict = match outcome {
            Ok(()) if took > PROMISED => "FAILED: takes longer than promised".to_owned(),
            Ok(()) => "ok".to_owned(),
            Err(error) => format!("FAILED: {error:#}"),
        };
        println!("{name:<26} {:>7}  {verdict}", steps::seconds(took));
        if verdict != "ok" {
            faults.push(format!("{name}: {verdict}"));
        }
    }
    for fault in &faults {
        eprintln!("{fault}");
    }
    ensure!(faults.is_empty(), "{} faults in the examples", faults.len());
    Ok(())
}

/// Runs one, and looks at what it says.
fn check((name, says): &Example, own: bool) -> Result<()> {
    let mut child = cargo(name, own, "run")?
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
    ensure!(missing.is_none(), "does not say {missing:?}");
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

/// The command that the documentation names. One that is a workspace of its own shares the build
/// of what it has in common with this one.
fn cargo(name: &str, own: bool, what: &str) -> Result<Command> {
    let root = workspace::root()?;
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    command.current_dir(root).args([what, "--quiet"]);
    if own {
        let manifest = format!("examples/{name}/Cargo.toml");
        command.args(["--locked", "--manifest-path", &manifest]);
        if std::env::var_os("CARGO_TARGET_DIR").is_none() {
            command.env("CARGO_TARGET_DIR", root.join("target"));
        }
    } else {
        command.args(["--example", name]);
    }
    Ok(command)
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
    let targets = packages.iter().flat_map(|package| {
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
    let unlisted = unlisted.map(|name| format!("{name}: not in the list of xtask/src/examples.rs"));
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
