//! What a person at a terminal sees.
#![cfg(unix)]

use std::fs::File;
use std::io::Read as _;
use std::process::{Command, Stdio};

use mcp_testbed::fault::{FaultServer, Request, Wire};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use serde_json::json;
use tokio::sync::{mpsc, watch};

use crate::command::{DEADLINE, Shell};

/// A run at a terminal.
struct Screen {
    shown: mpsc::UnboundedReceiver<Vec<u8>>,
    so_far: String,
    child: std::process::Child,
}

impl Screen {
    /// Starts the command at a terminal of this many columns.
    fn start(shell: &Shell, columns: u16, variables: &[(&str, &str)], words: &[&str]) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let size = Winsize {
            ws_row: 24,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&ours, size).unwrap();
        let theirs = ptsname(&ours, Vec::new()).unwrap();
        let theirs = File::options()
            .read(true)
            .write(true)
            .open(theirs.to_str().unwrap())
            .unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_mcpt"))
            .args(words)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", shell.folder())
            .env("TERM", "xterm-256color")
            .envs(variables.iter().copied())
            .current_dir(shell.folder())
            .stdin(Stdio::null())
            .stdout(theirs.try_clone().unwrap())
            .stderr(theirs)
            .spawn()
            .unwrap();
        let (tell, shown) = mpsc::unbounded_channel();
        let mut ours = File::from(ours);
        // Ends by an error when nobody has the other side open any more.
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = ours.read(&mut bytes) {
                if tell.send(bytes[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            shown,
            so_far: String::new(),
            child,
        }
    }

    /// Waits until this is shown; false when the run ends without it.
    async fn shows(&mut self, text: &str) -> bool {
        while !self.so_far.contains(text) {
            match tokio::time::timeout(DEADLINE, self.shown.recv()).await {
                Ok(Some(bytes)) => self.so_far.push_str(&String::from_utf8_lossy(&bytes)),
                _ => return false,
            }
        }
        true
    }

    /// All that is shown until the run ends, and its exit code.
    async fn end(mut self) -> (String, i32) {
        let never = "\u{0}";
        assert!(!self.shows(never).await);
        let code = self.child.wait().unwrap().code();
        (self.so_far.replace('\r', ""), code.unwrap())
    }
}

/// A server whose one tool is described like this.
async fn server(name: &'static str, description: &'static str) -> FaultServer {
    FaultServer::start(move |request: Request, mut wire: Wire| async move {
        let tool = json!({ "name": name, "description": description,
            "inputSchema": { "type": "object" } });
        let written = match request.rpc_method().as_str() {
            "tools/list" => {
                let listed = json!({ "resultType": "complete", "tools": [tool] });
                wire.json(&request.result(&listed)).await
            }
            "tools/call" => {
                let text = json!([{ "type": "text", "text": description }]);
                let result = json!({ "resultType": "complete", "content": text });
                wire.json(&request.result(&result)).await
            }
            _ => wire.modern(&request).await,
        };
        written.then_some(wire)
    })
    .await
}

#[tokio::test]
async fn tables_fit_the_terminal() {
    let words = "many words that say what the tool is for and go on and on and on and on and on \
                 and on and on until nobody reads them any longer";
    let server = server("echo", words).await;
    let shell = Shell::new();
    let url = server.url();
    for command in [&["tools", "--url", &url][..], &["doctor", "--url", &url]] {
        for (columns, variables, fits) in [
            (60, &[][..], 60),
            (100, &[("COLUMNS", "50")], 50),
            (60, &[("COLUMNS", "300")], 300),
            (70, &[("COLUMNS", "wide")], 70),
        ] {
            let screen = Screen::start(&shell, columns, variables, command);
            let (shown, code) = screen.end().await;
            assert_eq!(code, 0, "{shown}");
            // Below the heading, which is a line of its own.
            let rows = shown.lines().skip(1).map(|row| row.chars().count());
            let widest = rows.max().unwrap();
            assert!(widest <= fits, "{widest} columns of {fits}: {shown}");
            let whole = shown.contains(words);
            assert!(
                !command.contains(&"tools") || whole == (fits == 300),
                "{shown}"
            );
        }
    }
    // A program that reads the lines gets them whole.
    let shell = shell.var("COLUMNS", "40");
    let ran = shell.run(&["tools", "--url", &url]).await;
    assert!(ran.stdout.contains(words), "{}", ran.stdout);
}

#[tokio::test]
async fn colours_are_for_terminals_that_want_them() {
    let server = server("echo", "repeats").await;
    let shell = Shell::new();
    let url = server.url();
    for (variables, coloured) in [
        (&[][..], true),
        (&[("NO_COLOR", "1")], false),
        (&[("NO_COLOR", "")], true),
        (&[("TERM", "dumb")], false),
    ] {
        for words in [&["tools", "--url", &url][..], &["call", "x", "--url", &url]] {
            let (shown, _) = Screen::start(&shell, 80, variables, words).end().await;
            assert_eq!(
                shown.contains("\u{1b}[1m"),
                coloured,
                "{variables:?} {shown:?}"
            );
        }
    }
}

#[tokio::test]
async fn nothing_foreign_is_obeyed() {
    let hostile = "\u{1b}]0;owned\u{7}\u{1b}[2Jred\u{9b}31m\u{202e}evil\u{200f}\u{8}\u{7f}";
    let server = server("echo", hostile).await;
    let failing = FaultServer::start(move |_, mut wire: Wire| async move {
        let headers = [("Content-Type", "text/plain")];
        wire.respond(500, &headers, hostile).await.then_some(wire)
    })
    .await;
    let shell = Shell::new();
    let name = "one\u{1b}[2J\u{202e}";
    let script = "printf 'bad\\033[2J\\007\\n' >&2; exit 3";
    shell.write(
        "mcp.json",
        &json!({ "mcpServers": {
            name: { "url": failing.url(), (name): 1 },
            "child": { "command": "sh", "args": ["-c", script] },
        } })
        .to_string(),
    );
    let (good, bad) = (server.url(), failing.url());
    for words in [
        &["tools", "--url", &good][..],
        &["tools", "--url", &good, "--json"],
        &["call", "echo", "--url", &good],
        &["call", "echo", "--url", &good, "--json"],
        &["call", "echo", "--url", &good, "--repeat", "2"],
        &["call", hostile, "--url", &good],
        &["call", hostile, "--url", &good, "--json"],
        &["doctor", "--url", &good],
        &["tools", "--url", &bad],
        &["tools", "--url", &bad, "--json"],
        &["doctor", "--url", &bad],
        &["doctor", "--url", &bad, "--json"],
        &["tools"],
        &["tools", "--json"],
        &["doctor"],
        &["doctor", "--json"],
        &["call", hostile, "echo"],
        &["login", hostile],
        &["logout", hostile, "--json"],
        &["tools", "--config", hostile],
    ] {
        let variables = [("NO_COLOR", "1")];
        let (shown, _) = Screen::start(&shell, 80, &variables, words).end().await;
        // The spinner clears its line.
        let shown = shown.replace("\u{1b}[2K", "");
        let obeyed = |c: &char| {
            (c.is_control() && !matches!(c, '\n' | '\t'))
                || matches!(c, '\u{202a}'..='\u{202e}' | '\u{200e}' | '\u{200f}')
        };
        assert_eq!(shown.chars().find(obeyed), None, "{words:?}: {shown:?}");
        if words.contains(&"--json") {
            let documents = shown.lines().filter(|line| line.starts_with('{'));
            let documents: Vec<serde_json::Value> = documents
                .map(|it| serde_json::from_str(it).unwrap())
                .collect();
            assert_eq!(documents.len(), 1, "{shown}");
        }
    }
}

#[tokio::test]
async fn a_long_wait_is_seen_at_a_terminal_only() {
    let (answer, wait) = watch::channel(false);
    let slow = FaultServer::start(move |request: Request, mut wire: Wire| {
        let mut wait = wait.clone();
        async move {
            wait.wait_for(|now| *now).await.ok()?;
            wire.modern(&request).await.then_some(wire)
        }
    })
    .await;
    let shell = Shell::new();
    let words = ["tools", "--url", &slow.url(), "--json"];
    let mut screen = Screen::start(&shell, 80, &[], &words);
    assert!(screen.shows("asking adhoc").await, "{}", screen.so_far);
    answer.send(true).unwrap();
    let (shown, code) = screen.end().await;
    assert_eq!(code, 0, "{shown}");
    let ran = shell.run(&words).await;
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert_eq!(ran.stdout.lines().count(), 1);
}
