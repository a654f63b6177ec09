//! A server that misbehaves on demand, for this crate's tests.
//!
//! The first argument is how it behaves from the start, the tools are what it does when asked.
#![forbid(unsafe_code)]

mod parent;
mod tools;

use std::io::{self, BufRead, Write};
use std::process::exit;

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
        // Says something on standard error, perhaps, and nothing else.
        "mute" => {
            if let Some(words) = arguments.next() {
                writeln!(io::stderr(), "{words}")?;
            }
            io::copy(&mut io::stdin().lock(), &mut io::sink()).map(drop)
        }
        "flood" => flood(),
        "serve" => Session::default().serve(),
        "stateless" => Session::stateless(false).serve(),
        "listening" => Session::stateless(true).serve(),
        "parent" => parent::run(),
        // Says something where it does not belong, then serves.
        "banner" => {
            say(&json!("> banner"))?;
            writeln!(io::stdout(), "> npm run start\n\n{{not json")?;
            Session::default().serve()
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

/// What a server remembers.
#[derive(Default)]
struct Session {
    stateless: bool,
    /// Tells of changed tools; in the stateless version only who has subscribed.
    tells_changes: bool,
    cancelled: u32,
    answered: u32,
    listed: u32,
    subscription: Option<Value>,
    /// The call that waits for the answer to a question.
    asking: Option<Value>,
}

impl Session {
    fn stateless(tells_changes: bool) -> Self {
        Self {
            stateless: true,
            tells_changes,
            ..Self::default()
        }
    }

    fn serve(mut self) -> io::Result<()> {
        for line in io::stdin().lock().lines() {
            let message: Value = serde_json::from_str(&line?).map_err(io::Error::other)?;
            self.take(&message)?;
        }
        Ok(())
    }

    fn take(&mut self, message: &Value) -> io::Result<()> {
        match message["method"].as_str() {
            Some("server/discover") if self.stateless => answer(
                message,
                &json!({"resultType": "complete", "supportedVersions": ["2026-07-28"],
                    "capabilities": {"tools": {"listChanged": self.tells_changes}},
                    "_meta": {"io.modelcontextprotocol/serverInfo":
                        {"name": "fault-child", "version": "2"}}}),
            ),
            Some("initialize") if !self.stateless => answer(
                message,
                &json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
                    "serverInfo": {"name": "fault-child", "version": "1"}}),
            ),
            Some("subscriptions/listen") if self.tells_changes => {
                self.subscription = Some(message["id"].clone());
                say(&json!({"jsonrpc": "2.0",
                    "method": "notifications/subscriptions/acknowledged",
                    "params": {"notifications": message["params"]["notifications"],
                        "_meta": {"io.modelcontextprotocol/subscriptionId": message["id"]}}}))
            }
            Some("notifications/cancelled") => {
                self.cancelled += 1;
                Ok(())
            }
            Some("tools/list") => {
                self.listed += 1;
                answer(message, &json!({"tools": tools::listed()?}))
            }
            Some("ping") => answer(message, &json!({})),
            Some("tools/call") => tools::call(self, message),
            Some(_) if message["id"].is_u64() => {
                let error = json!({"code": -32601, "message": "Method not found"});
                say(&json!({"jsonrpc": "2.0", "id": message["id"], "error": error}))
            }
            Some(_) => Ok(()),
            None => {
                self.answered += 1;
                match self.asking.take() {
                    Some(call) => tools::finish(&call, &message.to_string()),
                    None => Ok(()),
                }
            }
        }
    }
}
