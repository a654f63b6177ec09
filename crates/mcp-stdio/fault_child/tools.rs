//! What it does when asked.

use std::io::{self, Write};
use std::process::{Command, Stdio, exit};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::{Session, answer, flood, say};

/// Those that are always there, and one for each line of the file `FAULT_TOOLS`.
pub(crate) fn listed() -> io::Result<Vec<Value>> {
    let mut tools = vec![
        json!({"name": "echo", "inputSchema": {"type": "object"}, "x-own": 1}),
        json!({"name": "broken"}),
    ];
    if let Some(file) = std::env::var_os("FAULT_TOOLS") {
        for name in std::fs::read_to_string(file)?.lines() {
            tools.push(json!({"name": name, "inputSchema": {"type": "object"}}));
        }
    }
    Ok(tools)
}

#[expect(clippy::disallowed_methods, reason = "it tells when it exits")]
pub(crate) fn call(session: &mut Session, request: &Value) -> io::Result<()> {
    let arguments = &request["params"]["arguments"];
    let number = |name: &str| arguments[name].as_u64().unwrap_or_default();
    let text = match request["params"]["name"].as_str().unwrap_or_default() {
        "echo" => arguments["text"].as_str().unwrap_or_default().to_owned(),
        "environment" => {
            let variables = std::env::vars().collect::<std::collections::BTreeMap<_, _>>();
            serde_json::to_string(&variables)?
        }
        "arguments" => std::env::args().skip(2).collect::<Vec<_>>().join("\n"),
        "directory" => std::env::current_dir()?.display().to_string(),
        "process" => std::process::id().to_string(),
        "cancelled" => session.cancelled.to_string(),
        "answered" => session.answered.to_string(),
        "times-listed" => session.listed.to_string(),
        "listened" => session.subscription.is_some().to_string(),
        // Never answers.
        "wait" => return Ok(()),
        "exit" => {
            let code = i32::try_from(number("code")).unwrap_or(1);
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            let now = now.map_err(io::Error::other)?.as_millis();
            let text = arguments["text"].as_str().unwrap_or_default();
            writeln!(io::stderr(), "{text}\nexit-at={now}")?;
            exit(code);
        }
        "half" => {
            // Half an answer, then the end.
            write!(
                io::stdout(),
                "{{\"jsonrpc\":\"2.0\",\"id\":{},\"res",
                request["id"]
            )?;
            io::stdout().flush()?;
            exit(0);
        }
        "close-output" => {
            // A shell holds the pipes of this process no longer than it lives.
            return close_output();
        }
        "grandchild" => {
            let child = Command::new("sleep")
                .arg("1000")
                .stdin(Stdio::null())
                .spawn()?;
            child.id().to_string()
        }
        // In a group of its own, and gone when its input ends.
        "distant-grandchild" => distant_grandchild()?,
        "deaf" => loop {
            std::thread::park();
        },
        "chatter" => {
            for line in 0..number("lines") {
                writeln!(io::stdout(), "line {line} of a log: {}", "x".repeat(64))?;
            }
            "done".to_owned()
        }
        "stderr" => {
            let chunk = "e".repeat(1023) + "\n";
            let mut stderr = io::stderr().lock();
            for _ in 0..number("kilobytes") {
                stderr.write_all(chunk.as_bytes())?;
            }
            writeln!(stderr, "{}", arguments["text"].as_str().unwrap_or_default())?;
            "done".to_owned()
        }
        "requests" => {
            for id in 0..number("count") {
                say(&json!({"jsonrpc": "2.0", "id": id, "method": "roots/list"}))?;
            }
            "done".to_owned()
        }
        // Asks something, and is done with what was answered.
        "ask" => {
            session.asking = Some(request.clone());
            return say(&json!({"jsonrpc": "2.0", "id": "q-1",
                "method": arguments["method"], "params": arguments["params"]}));
        }
        "changes" => {
            let mut changed =
                json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"});
            if session.stateless {
                let Some(id) = &session.subscription else {
                    return finish(request, "nobody listens");
                };
                changed["params"] =
                    json!({"_meta": {"io.modelcontextprotocol/subscriptionId": id}});
            }
            for _ in 0..number("count") {
                say(&changed)?;
            }
            "done".to_owned()
        }
        "flood" => return flood(),
        other => format!("no such tool: {other}"),
    };
    finish(request, &text)
}

/// The result of a call.
pub(crate) fn finish(request: &Value, text: &str) -> io::Result<()> {
    let content = json!([{"type": "text", "text": text}]);
    answer(
        request,
        &json!({"content": content, "own": {"z": 1, "a": 2}}),
    )
}

/// Goes on living with its standard output closed: the one way that needs no unsafe code is to
/// become a process that never had it.
#[cfg(unix)]
fn close_output() -> io::Result<()> {
    use std::os::unix::process::CommandExt;
    Err(Command::new("sleep")
        .arg("1000")
        .stdout(Stdio::null())
        .exec())
}

#[cfg(not(unix))]
fn close_output() -> io::Result<()> {
    exit(0);
}

#[cfg(unix)]
fn distant_grandchild() -> io::Result<String> {
    use std::os::unix::process::CommandExt;
    let child = Command::new(std::env::current_exe()?)
        .arg("mute")
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let id = child.id().to_string();
    // Its pipe stays open as long as this process lives.
    std::mem::forget(child);
    Ok(id)
}

#[cfg(not(unix))]
fn distant_grandchild() -> io::Result<String> {
    Err(io::ErrorKind::Unsupported.into())
}
