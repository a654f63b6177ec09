//! The server on standard input and output: what a child process runs.

use std::io;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use super::protocol;
use super::tools::Caller;

/// Serves until standard input ends.
///
/// # Errors
/// When standard input or output fails.
pub async fn serve_stdio() -> io::Result<()> {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut output = tokio::io::stdout();
    while let Some(line) = lines.next_line().await? {
        let Ok(message) = serde_json::from_str::<Value>(&line) else {
            continue;
        };
        if let Some(answer) = protocol::answer(&Caller::default(), &message).await {
            output.write_all(format!("{answer}\n").as_bytes()).await?;
            output.flush().await?;
        }
    }
    Ok(())
}
