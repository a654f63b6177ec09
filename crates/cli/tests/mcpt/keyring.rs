//! Logins sealed under a key of a keyring: a real one, on a bus of its own, where both are installed.
#![cfg(all(feature = "keyring", target_os = "linux"))]

use mcp_testbed::oauth::AuthServer;
use serde_json::json;

use crate::command::{DEADLINE, Shell};

/// Two runs within one session of the desktop, which ends with them.
const SESSION: &str = r#"
printf test-password | gnome-keyring-daemon --unlock --components=secrets >/dev/null
"$0" call one echo --json --token-store keyring
"$0" call one echo --json --token-store keyring
pid=$(dbus-send --session --print-reply=literal --dest=org.freedesktop.DBus / \
    org.freedesktop.DBus.GetConnectionUnixProcessID string:org.freedesktop.secrets)
kill "${pid##* }"
"#;

#[tokio::test]
async fn a_keyring_seals_what_is_kept() {
    let is_there = |program: &str| {
        let mut paths = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
            .collect::<Vec<_>>()
            .into_iter();
        paths.any(|folder| folder.join(program).is_file())
    };
    if !is_there("gnome-keyring-daemon") || !is_there("dbus-run-session") {
        eprintln!("there is no keyring to try: not tested");
        return;
    }
    let server = AuthServer::start().await;
    let auth = json!({ "grant": "client_credentials", "client_id": "known",
        "client_secret": "${SECRET}" });
    let shell = crate::consent::shell(&server, &auth);
    let mut session = tokio::process::Command::new("dbus-run-session");
    session
        .args(["--", "sh", "-c", SESSION, env!("CARGO_BIN_EXE_mcpt")])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", shell.folder())
        .env("XDG_RUNTIME_DIR", shell.folder())
        .env("SECRET", "test-secret")
        .current_dir(shell.folder())
        .kill_on_drop(true);
    let output = tokio::time::timeout(DEADLINE, session.output()).await;
    let output = output.expect("the session ends").unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        stdout.matches(r#""status":"ok""#).count(),
        2,
        "{stdout}\n{stderr}"
    );
    assert_eq!(
        server.count("/token"),
        1,
        "the second run found the first one's token"
    );
    let kept = shell.folder().join(".local/share/mcpt/sealed");
    let mut files = 0;
    for file in std::fs::read_dir(kept).unwrap() {
        let content = std::fs::read(file.unwrap().path()).unwrap();
        let content = String::from_utf8_lossy(&content);
        assert!(!content.contains("test-access"), "{content}");
        files += 1;
    }
    assert!(files > 0);
    assert_without_keyring(&shell).await;
}

/// Without a desktop it is said that there is none, and nothing is kept elsewhere instead.
async fn assert_without_keyring(shell: &Shell) {
    let ran = shell
        .run(&["call", "one", "echo", "--json", "--token-store", "keyring"])
        .await;
    assert_eq!(
        (ran.kind().as_str(), ran.code),
        ("config", 2),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("Secret Service"), "{}", ran.stdout);
}
