//! The child that is started, used and reaped: says whose token it was given.

use std::io::{BufRead as _, Write as _};

use anyhow::Result;
use serde_json::{Value, json};

/// The variable that the token comes in.
pub(crate) const TOKEN: &str = "MCP_LOAD_CHILDS_TOKEN";

/// Serves until standard input ends.
pub(crate) fn serve() -> Result<()> {
    let token = std::env::var(TOKEN).unwrap_or_default();
    let mut output = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let request: Value = serde_json::from_str(&line?)?;
        if request["id"].is_null() {
            continue;
        }
        let arguments = &request["params"]["arguments"];
        let result = match request["method"].as_str().unwrap_or_default() {
            "server/discover" => json!({ "resultType": "complete",
                "supportedVersions": ["2026-07-28"], "capabilities": { "tools": {} },
                "ttlMs": 60_000, "cacheScope": "public" }),
            "tools/list" => json!({ "resultType": "complete",
                "tools": [{ "name": "whoami", "inputSchema": { "type": "object" } }] }),
            _ if arguments["fate"] == "exit" => return Ok(()),
            _ => {
                let pause = arguments["milliseconds"].as_u64().unwrap_or_default();
                std::thread::park_timeout(std::time::Duration::from_millis(pause));
                let said = format!("{} {}", owner(&token), arguments["nonce"]);
                json!({ "resultType": "complete", "isError": arguments["fate"] == "error",
                    "content": [{ "type": "text", "text": said }] })
            }
        };
        let answer = json!({ "jsonrpc": "2.0", "id": request["id"], "result": result });
        writeln!(output, "{answer}")?;
        output.flush()?;
    }
    Ok(())
}

/// Whose a token is: `test-token-<user>-<number>`.
pub(crate) fn owner(token: &str) -> &str {
    let rest = token.strip_prefix("test-token-").unwrap_or_default();
    rest.split('-').next().unwrap_or_default()
}
