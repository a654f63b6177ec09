//! npm `@modelcontextprotocol/server-everything`: protocol 2025-11-25 and older.

use super::install::{npm_entry, script};
use super::tethered::Tethered;
use crate::report::or_fail;

const PACKAGE: &str = "@modelcontextprotocol/server-everything";

/// The reference server over HTTP; [`everything_stdio`] is the same over stdio.
#[derive(Debug)]
pub struct EverythingServer {
    process: Tethered,
    path: &'static str,
}

impl EverythingServer {
    /// Streamable HTTP with sessions.
    ///
    /// # Panics
    /// When the server is not installed or does not start; the message says why.
    #[track_caller]
    pub fn streamable_http() -> Self {
        or_fail(Self::start("streamableHttp", "/mcp"))
    }

    /// HTTP+SSE, the transport of protocol 2024-11-05.
    ///
    /// # Panics
    /// When the server is not installed or does not start; the message says why.
    #[track_caller]
    pub fn sse() -> Self {
        or_fail(Self::start("sse", "/sse"))
    }

    fn start(mode: &str, path: &'static str) -> anyhow::Result<Self> {
        let tether = format!("--import={}", script("tether.mjs")?);
        let process = Tethered::start("node", &[&tether, &npm_entry(PACKAGE)?, mode], &[])?;
        Ok(Self { process, path })
    }

    /// The URL that a client is given.
    pub fn url(&self) -> String {
        self.process.url(self.path)
    }

    /// The last lines that the server printed, for a failing test's message.
    pub fn output(&self) -> String {
        self.process.output()
    }
}

/// Program and arguments of the reference server over stdio.
///
/// # Panics
/// When the server is not installed.
#[track_caller]
pub fn everything_stdio() -> (String, Vec<String>) {
    (
        "node".to_owned(),
        vec![or_fail(npm_entry(PACKAGE)), "stdio".to_owned()],
    )
}
