//! What people are told who are nearly right.

use serde_json::json;

use crate::command::{Ran, Shell};

async fn doctor(entry: serde_json::Value) -> (Ran, String) {
    let shell = Shell::new();
    let file = json!({ "mcpServers": { "one": entry } });
    shell.write("mcp.json", &file.to_string());
    let shown = shell.run(&["doctor"]).await.stdout;
    (shell.run(&["doctor", "--json"]).await, shown)
}

fn advice(ran: &Ran) -> String {
    let document = ran.json();
    let advice = document["servers"][0]["advice"].as_str();
    advice.unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_command_line_in_place_of_a_command() {
    let (ran, _) = doctor(json!({ "command": "npx -y some-server" })).await;
    assert!(advice(&ran).contains("into `args`"), "{}", ran.stdout);
    let (ran, _) = doctor(json!({ "command": "no-such-program" })).await;
    assert!(advice(&ran).contains("is not installed"), "{}", ran.stdout);
}

#[tokio::test]
async fn a_variable_that_is_to_be_passed_on_has_no_default() {
    let (ran, _) = doctor(json!({ "command": "sh", "envFrom": ["UNSET_ONE"] })).await;
    let told = advice(&ran);
    assert!(told.contains("take it out of `envFrom`"), "{told}");
    assert!(!told.contains(":-"), "{told}");
}

#[tokio::test]
async fn a_name_that_was_mistyped_is_told_where_the_entry_fails() {
    let (ran, shown) = doctor(json!({ "command": 5, "arsg": [] })).await;
    assert!(shown.ends_with("did you mean `args`?\n"), "{shown}");
    let told = advice(&ran);
    assert!(told.contains("did you mean `args`?"), "{told}");
    assert!(told.contains("must be a string"), "{told}");
}

#[tokio::test]
async fn people_are_told_once() {
    let (ran, shown) = doctor(json!({ "command": "sh", "args": "-c" })).await;
    let problem = "field `args`: must be a list, and is a string";
    assert_eq!(shown.matches(problem).count(), 1, "{shown}");
    assert!(shown.ends_with("advice: correct the entry\n"), "{shown}");
    // A document's advice stands alone.
    assert!(advice(&ran).contains(problem));
}

#[tokio::test]
async fn a_mistake_of_a_child_names_its_server() {
    let shell = Shell::new();
    let file = json!({ "mcpServers": { "one": { "command": "a\u{0}b" } } });
    shell.write("mcp.json", &file.to_string());
    let ran = shell.run(&["tools", "one", "--json"]).await;
    assert_eq!((ran.kind().as_str(), ran.code), ("config", 2));
    assert!(
        ran.stdout.contains("`one`: the program has no"),
        "{}",
        ran.stdout
    );
}

#[tokio::test]
async fn servers_that_are_all_disabled_are_not_passed_over_in_silence() {
    let shell = Shell::new();
    let entry = json!({ "command": "sh", "disabled": true });
    shell.write(
        "mcp.json",
        &json!({ "mcpServers": { "one": entry } }).to_string(),
    );
    for command in ["tools", "doctor"] {
        let ran = shell.run(&[command]).await;
        assert!(
            ran.stderr.contains("is `disabled`; name one"),
            "{}",
            ran.stderr
        );
        assert_eq!(ran.code, 0);
        let ran = shell.run(&[command, "--json"]).await;
        assert_eq!(ran.json(), json!({ "servers": [] }));
    }
    shell.write("mcp.json", r#"{ "mcpServers": {} }"#);
    assert_eq!(shell.run(&["tools"]).await.stderr, "");
}

#[tokio::test]
async fn help_shows_what_makes_sense_and_how_to_begin() {
    let shell = Shell::new();
    for command in ["login", "logout"] {
        let help = shell.run(&[command, "--help"]).await.stdout;
        assert!(help.contains("--url") && !help.contains("--inherit-env"));
        assert!(!help.contains("--bearer-env"), "{help}");
    }
    let ran = shell.run(&["login", "--stdio", "--", "sh"]).await;
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr.contains("nothing to log in to"),
        "{}",
        ran.stderr
    );
    let help = shell.run(&["--help"]).await.stdout;
    assert!(help.contains("Examples:") && help.contains("\"mcpServers\""));
}
