//! A server as a child process: what it sees, and what it says when it fails.
//!
//! `cargo run --example stdio_env`
#![expect(clippy::print_stdout, reason = "an example tells what happens")]

use mcp_testbed::embedded::serve_stdio;
use mcp_toolkit::load_mcp_tools_stdio;

/// With this argument the program is the child process of itself.
const BE_THE_CHILD: &str = "--serve-stdio";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    if std::env::args().any(|argument| argument == BE_THE_CHILD) {
        return Ok(serve_stdio().await?);
    }
    let program = std::env::current_exe()?.to_string_lossy().into_owned();

    // A few harmless variables of this process, and what it is given. Nothing else.
    let tools = load_mcp_tools_stdio(&program)
        .args([BE_THE_CHILD])
        .env("SERVICE_TOKEN", "test-token")
        .await?;
    let environment = tools.get("environment")?.call(()).await?;
    println!("the child sees: {}", environment.text());

    // A child that ends at once says why.
    let failing = load_mcp_tools_stdio("ls").args(["/no/such/folder"]);
    if let Err(error) = failing.await {
        println!("it ended: {error}");
    }
    // A variable that is to be passed on has to be there.
    let lacking = load_mcp_tools_stdio(&program).env_from(["NO_SUCH_VARIABLE"]);
    if let Err(error) = lacking.await {
        println!("it was not started: {error}");
    }
    Ok(())
}
