//! `mcpt call`.

use serde_json::json;

use tokio::time::timeout;

use crate::command::{DEADLINE, Ran, Shell, child_command};

/// Calls a tool of the embedded server as Alice.
async fn call(words: &[&str], input: &str) -> Ran {
    let (server, shell) = Shell::with_server(&["alice"]).await;
    shell.write("args.json", r#"{"a": 20, "b": 22}"#);
    let mut all = vec![
        "--url",
        server.url(),
        "--bearer-env",
        "TOKEN_alice",
        "--header",
        "X-Tenant-Id: acme",
        "call",
    ];
    all.extend(words);
    shell.run_with_input(&all, input).await
}

#[tokio::test]
async fn a_result_is_a_document() {
    let ran = call(&["add", "--args", r#"{"a":1,"b":2}"#, "--json"], "").await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(ran.stdout.lines().count(), 1);
    let document = ran.json();
    assert_eq!(document["server"], "adhoc");
    assert_eq!(document["tool"], "add");
    assert_eq!(document["status"], "ok");
    assert_eq!(document["content"][0]["text"], "3");
    assert_eq!(document["structured_content"], json!({ "sum": 3.0 }));
    assert_eq!(document["protocol_version"], "2026-07-28");
    assert_eq!(document["attempts"], 1);
    assert!(document["duration_ms"].as_f64().unwrap() > 0.0);
    assert_eq!(
        document["meta"]["io.modelcontextprotocol/serverInfo"]["name"],
        "embedded"
    );
    assert!(document.get("error").is_none());
}

#[tokio::test]
async fn people_get_the_text() {
    let ran = call(&["whoami"], "").await;
    assert_eq!(
        (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
        (0, "alice of acme\n", "")
    );
}

#[tokio::test]
async fn arguments_come_from_files_and_standard_input_too() {
    for (given, input) in [("@args.json", ""), ("-", r#"{"a": 20, "b": 22}"#)] {
        let ran = call(&["add", "--args", given], input).await;
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (0, "42\n"),
            "{}",
            ran.stderr
        );
    }
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_a_timeout() {
    let words = [
        "slow",
        "--args",
        r#"{"milliseconds":60000}"#,
        "--timeout",
        "300ms",
        "--json",
    ];
    let ran = call(&words, "").await;
    assert_eq!(
        (ran.code, ran.kind().as_str()),
        (4, "timeout"),
        "{}",
        ran.stderr
    );
    let document = ran.json();
    assert_eq!(document["status"], "failed");
    assert_eq!(document["attempts"], 1);
    assert!(document["duration_ms"].as_f64().unwrap() < 30_000.0);
}

#[tokio::test]
async fn many_calls_are_summed_up() {
    let words = [
        "add",
        "--args",
        r#"{"a":1,"b":2}"#,
        "--repeat",
        "40",
        "--concurrency",
        "4",
        "--json",
    ];
    let ran = call(&words, "").await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let document = ran.json();
    assert_eq!(document["status"], "ok");
    assert_eq!(
        (&document["calls"], &document["ok"]),
        (&json!(40), &json!(40))
    );
    assert_eq!(
        (&document["failed"], &document["errors"]),
        (&json!(0), &json!({}))
    );
    let latency = |name: &str| document["latency_ms"][name].as_f64().unwrap();
    assert!(0.0 < latency("p50") && latency("p50") <= latency("p95"));
    assert!(latency("p99") <= latency("max"));
    assert!(document["calls_per_second"].as_f64().unwrap() > 0.0);
}

#[tokio::test]
async fn many_failures_give_the_code_of_the_first() {
    let words = [
        "add",
        "--args",
        r#"{"a":"x","b":2}"#,
        "--repeat",
        "3",
        "--json",
    ];
    let ran = call(&words, "").await;
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    let document = ran.json();
    assert_eq!(document["status"], "failed");
    assert_eq!(document["errors"], json!({ "invalid_arguments": 3 }));
    assert!(ran.stderr.contains("/a"), "{}", ran.stderr);
}

#[tokio::test]
async fn a_child_gets_what_is_named_and_nothing_else() {
    let shell = Shell::new().var("AMBIENT", "canary").var("NAMED", "canary");
    let child = child_command();
    let mut words = vec![
        "call",
        "environment",
        "--json",
        "--stdio",
        "--env",
        "OWN=${NAMED}",
        "--env-from",
        "NAMED",
        "--",
    ];
    words.extend(child.iter().map(String::as_str));
    let ran = shell.run(&words).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let document = ran.json();
    let names: Vec<_> = document["content"][0]["text"]
        .as_str()
        .unwrap()
        .split(' ')
        .collect();
    assert!(names.contains(&"OWN") && names.contains(&"NAMED") && names.contains(&"PATH"));
    assert!(!names.contains(&"AMBIENT"), "{names:?}");

    words.insert(3, "--inherit-env");
    let ran = shell.run(&words).await;
    assert!(
        ran.json()["content"][0]["text"]
            .as_str()
            .unwrap()
            .contains("AMBIENT")
    );
}

#[tokio::test]
async fn a_refused_token_is_had_anew() {
    let (server, shell) = Shell::with_server(&["alice"]).await;
    let script = "if [ -e used ]; then printenv TOKEN_alice; else touch used; echo stale; fi";
    shell.write("helper.sh", script);
    let ran = shell
        .run(&[
            "call",
            "whoami",
            "--url",
            server.url(),
            "--header",
            "X-Tenant-Id: acme",
            "--bearer-command",
            "sh helper.sh",
        ])
        .await;
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (0, "alice of acme\n"),
        "{}",
        ran.stderr
    );
    assert!(server.seen().iter().any(|request| request.status == 401));
}

#[tokio::test]
async fn a_server_of_the_time_of_sessions_works_too() {
    let lifetime = std::time::Duration::from_secs(600);
    let server = mcp_testbed::embedded::EmbeddedServer::start_with_sessions(lifetime)
        .await
        .unwrap();
    let token = server.tokens().issue("alice").access;
    let ran = Shell::new()
        .var("TOKEN", &token)
        .run(&[
            "call",
            "whoami",
            "--json",
            "--url",
            server.url(),
            "--header",
            "X-Tenant-Id: acme",
            "--header",
            "Authorization: Bearer ${TOKEN}",
        ])
        .await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(ran.json()["protocol_version"], "2025-11-25");
}

#[tokio::test]
async fn a_server_of_the_time_of_sessions_is_told_that_nobody_waits() {
    let lifetime = std::time::Duration::from_secs(600);
    let server = mcp_testbed::embedded::EmbeddedServer::start_with_sessions(lifetime)
        .await
        .unwrap();
    let shell = Shell::new().var("TOKEN", &server.tokens().issue("alice").access);
    let ran = shell
        .run(&[
            "call",
            "slow",
            "--json",
            "--args",
            r#"{"milliseconds":60000}"#,
            "--timeout",
            "500ms",
            "--url",
            server.url(),
            "--header",
            "X-Tenant-Id: acme",
            "--bearer-env",
            "TOKEN",
        ])
        .await;
    assert_eq!(ran.kind(), "timeout", "{}", ran.stdout);
    let seen = server.seen();
    let told = seen.iter().any(|it| it.method == "notifications/cancelled");
    let methods: Vec<_> = seen.iter().map(|it| it.method.as_str()).collect();
    assert!(told, "{methods:?}");
}

#[tokio::test]
async fn the_childs_words_are_its_own() {
    let mut words = vec![
        "call",
        "environment",
        "--stdio",
        "--",
        "sh",
        "-c",
        "export SEEN=${HOME}; exec \"$0\" \"$@\"",
    ];
    let child = child_command();
    words.extend(child.iter().map(String::as_str));
    let ran = Shell::new().run(&words).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(
        ran.stdout.split_whitespace().any(|name| name == "SEEN"),
        "{}",
        ran.stdout
    );
}

#[tokio::test]
async fn goodbye_is_said() {
    let lifetime = std::time::Duration::from_secs(600);
    let server = mcp_testbed::embedded::EmbeddedServer::start_with_sessions(lifetime)
        .await
        .unwrap();
    let shell = Shell::new().var("TOKEN", &server.tokens().issue("alice").access);
    let target = [
        "--url",
        server.url(),
        "--header",
        "X-Tenant-Id: acme",
        "--bearer-env",
        "TOKEN",
    ];
    for command in [&["tools"][..], &["call", "whoami"]] {
        let words: Vec<_> = command.iter().chain(&target).copied().collect();
        let ran = shell.run(&words).await;
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let seen = server.seen();
        let last = seen.last().unwrap();
        assert_eq!((last.method.as_str(), last.status), ("DELETE", 200));
    }

    // A child may finish what it is doing when its input ends.
    let shell = Shell::new();
    let mut words = vec![
        "call",
        "whoami",
        "--stdio",
        "--",
        "sh",
        "-c",
        "\"$0\" \"$@\"; echo done > farewell",
    ];
    let child = child_command();
    words.extend(child.iter().map(String::as_str));
    let ran = shell.run(&words).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(shell.folder().join("farewell").exists());
}

#[cfg(unix)]
#[tokio::test]
async fn an_interrupted_call_leaves_no_child() {
    let shell = Shell::new();
    let script = "echo $$ > pid; exec \"$0\" \"$@\"";
    let mut words = vec![
        "call",
        "slow",
        "--json",
        "--args",
        r#"{"milliseconds":60000}"#,
        "--stdio",
        "--",
        "sh",
        "-c",
        script,
    ];
    let child = child_command();
    words.extend(child.iter().map(String::as_str));
    let pid = shell.pipe("pid");
    let running = shell.start(&words);
    let own = running.id().unwrap().to_string();
    let pid = pid.line().await;
    let signal = |signal: &str, pid: &str| {
        let mut kill = std::process::Command::new("kill");
        let kill = kill.args([signal, pid]).stderr(std::process::Stdio::null());
        kill.status().unwrap().success()
    };
    assert!(signal("-0", &pid), "the child runs");
    assert!(signal("-INT", &own));
    let ran = crate::command::finish(running).await;
    assert_eq!(
        (ran.code, ran.kind().as_str()),
        (4, "cancelled"),
        "{}",
        ran.stderr
    );
    assert!(!signal("-0", &pid), "the child is gone");
}

#[cfg(unix)]
#[tokio::test]
async fn an_interrupted_series_tells_what_was_done() {
    let (server, shell) = Shell::with_server(&["alice"]).await;
    let running = shell.start(&[
        "call",
        "slow",
        "--json",
        "--args",
        r#"{"milliseconds":60000}"#,
        "--repeat",
        "10",
        "--concurrency",
        "3",
        "--url",
        server.url(),
        "--bearer-env",
        "TOKEN_alice",
        "--header",
        "X-Tenant-Id: acme",
    ]);
    timeout(DEADLINE, server.called(3)).await.unwrap();
    let own = running.id().unwrap().to_string();
    let status = std::process::Command::new("kill")
        .args(["-INT", &own])
        .status();
    assert!(status.unwrap().success());
    let ran = crate::command::finish(running).await;
    let document = ran.json();
    assert_eq!(document["errors"], json!({ "cancelled": 3 }), "{document}");
    assert_eq!(
        (&document["calls"], &document["status"], ran.code),
        (&json!(3), &json!("failed"), 4)
    );
}
