//! A server that misbehaves on demand, for this crate's tests.
//!
//! The first argument is how it behaves from the start, the tools are what it does when asked.
#![forbid(unsafe_code)]

use std::io::{self, BufRead, Write};
use std::process::{Command, Stdio, exit};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mode = arguments.next().unwrap_or_default();
    match mode.as_str() {
        "exit" => {
            let code = arguments.next().and_then(|code| code.parse().ok());
            writeln!(io::stderr(), "{}", arguments.next().unwrap_or_default())?;
            exit(code.unwrap_or(1));
        }
        "mute" => io::copy(&mut io::stdin().lock(), &mut io::sink()).map(drop),
        "flood" => flood(),
        "serve" | "stateless" => serve(mode == "stateless"),
        // Says something where it does not belong, then serves.
        "banner" => {
            say(&json!("> banner"))?;
            writeln!(io::stdout(), "> npm run start\n\n{{not json")?;
            serve(false)
        }
        other => {
            writeln!(io::stderr(), "no such mode: {other}")?;
            exit(2);
        }
    }
}

/// Writes without a line break, for ever.
fn flood() -> io::Result<()> {
    let chunk = vec![b'x'; 65_536];
    loop {
        io::stdout().write_all(&chunk)?;
    }
}

fn say(message: &Value) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{message}")?;
    stdout.flush()
}

fn answer(request: &Value, result: &Value) -> io::Result<()> {
    say(&json!({"jsonrpc": "2.0", "id": request["id"], "result": result}))
}

fn serve(stateless: bool) -> io::Result<()> {
    let mut cancelled = 0;
    let mut answered = 0;
    for line in io::stdin().lock().lines() {
        let message: Value = serde_json::from_str(&line?).map_err(io::Error::other)?;
        match message["method"].as_str() {
            Some("server/discover") if stateless => answer(
                &message,
                &json!({"resultType": "complete", "supportedVersions": ["2026-07-28"],
                    "capabilities": {"tools": {}},
                    "_meta": {"io.modelcontextprotocol/serverInfo":
                        {"name": "fault-child", "version": "2"}}}),
            )?,
            Some("initialize") if !stateless => answer(
                &message,
                &json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
                    "serverInfo": {"name": "fault-child", "version": "1"}}),
            )?,
            Some("notifications/cancelled") => cancelled += 1,
            Some("tools/list") => answer(
                &message,
                &json!({"tools": [
                    {"name": "echo", "inputSchema": {"type": "object"}, "x-own": 1},
                    {"name": "broken"},
                ]}),
            )?,
            Some("ping") => answer(&message, &json!({}))?,
            Some("tools/call") => call(&message, cancelled, answered)?,
            Some(_) if message["id"].is_u64() => {
                let error = json!({"code": -32601, "message": "Method not found"});
                say(&json!({"jsonrpc": "2.0", "id": message["id"], "error": error}))?;
            }
            Some(_) => {}
            None => answered += 1,
        }
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "it tells when it exits")]
fn call(request: &Value, cancelled: u32, answered: u32) -> io::Result<()> {
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
        "cancelled" => cancelled.to_string(),
        "answered" => answered.to_string(),
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
        "changes" => {
            for _ in 0..number("count") {
                say(&json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}))?;
            }
            "done".to_owned()
        }
        "flood" => return flood(),
        other => format!("no such tool: {other}"),
    };
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
