//! Programs that do not come up.

use serde_json::json;

use super::{examine, failed};
use crate::command::Shell;

#[tokio::test]
async fn children_that_do_not_come_up() {
    let sh = |script: &str| json!({ "command": "sh", "args": ["-c", script] });
    let missing = json!({ "command": "surely-not-a-program" });
    let ran = examine(&Shell::new(), &missing).await;
    failed(
        &ran,
        "start",
        "connect",
        4,
        "`surely-not-a-program` is not installed",
    );

    let script = "echo 'Error: API_TOKEN_FOR_TEST is required' >&2; exit 1";
    let ran = examine(&Shell::new(), &sh(script)).await;
    let advice = "`API_TOKEN_FOR_TEST`, which it is not given: set it in `env`";
    failed(&ran, "start", "server_exited", 4, advice);
    let shell = Shell::new().var("API_TOKEN_FOR_TEST", "test-token");
    let ran = examine(&shell, &sh(script)).await;
    let advice = "which is set here and not passed on: name it in `envFrom`";
    failed(&ran, "start", "server_exited", 4, advice);

    let ran = examine(&Shell::new(), &sh("exit 3")).await;
    failed(&ran, "start", "server_exited", 4, "without a word");

    for (script, advice) in [
        ("while read -r line; do :; done", "runs and says nothing"),
        (
            "echo waiting for a license >&2; while read -r line; do :; done",
            "waiting for a license",
        ),
    ] {
        let shell = Shell::new();
        let file = json!({ "mcpServers": { "one": sh(script) } });
        shell.write("mcp.json", &file.to_string());
        let ran = shell.run(&["doctor", "--json", "--timeout", "1s"]).await;
        failed(&ran, "protocol", "timeout", 4, advice);
    }
}
