//! The examples that need nothing and end by themselves.

use std::time::Duration;

use anyhow::{Result, ensure};
use xshell::cmd;

use crate::{steps, workspace};

/// Every example that ends by itself. The README promises that each does, in ten seconds.
const EXAMPLES: &[&str] = &[
    "quickstart",
    "multi_tenant",
    "bearer",
    "custom_headers",
    "refreshing_token",
    "custom_provider",
    "stdio_env",
    "audit",
    "openai_tools",
    "oauth_client_credentials",
    "oauth_login",
    "rmcp_bridge",
    "single_crate_auth",
    "single_crate_stdio",
];
const PROMISED: Duration = Duration::from_secs(10);

pub(crate) fn run() -> Result<()> {
    let shell = workspace::shell()?;
    for name in EXAMPLES {
        // As the README says it, from the root: another choice of packages would be another build.
        cmd!(shell, "cargo build --quiet --example {name}").run()?;
        let start = steps::now();
        cmd!(shell, "cargo run --quiet --example {name}").run()?;
        let took = start.elapsed();
        ensure!(
            took <= PROMISED,
            "example `{name}` took {}, more than the promised {}",
            steps::seconds(took),
            steps::seconds(PROMISED)
        );
    }
    Ok(())
}
