//! Python's `fastmcp` behind its JWT verifier: protocol 2026-07-28, and 2025-11-25 by `initialize`.

use super::install::{python, script};
use super::jwt::Jwt;
use super::tethered::Tethered;
use crate::report::or_fail;

/// A server that answers only to holders of its own [`Jwt`]s.
///
/// Tools: `whoami` gives the token's subject, `add` adds the integers `a` and `b`,
/// `remember` (argument `note`) is there only for tokens with the scope `tools:write`.
#[derive(Debug)]
pub struct FastMcpServer {
    process: Tethered,
    jwt: Jwt,
}

impl FastMcpServer {
    /// Streamable HTTP with a fresh signing secret.
    ///
    /// # Panics
    /// When the server is not installed or does not start; the message says why.
    #[track_caller]
    pub fn start() -> Self {
        or_fail(Self::try_start())
    }

    fn try_start() -> anyhow::Result<Self> {
        let jwt = Jwt::new()?;
        let env = [
            ("TESTBED_JWT_SECRET", jwt.secret()),
            ("TESTBED_JWT_ISSUER", Jwt::ISSUER),
            ("TESTBED_JWT_AUDIENCE", Jwt::AUDIENCE),
            ("PYTHONUNBUFFERED", "1"),
            ("NO_COLOR", "1"),
        ];
        let process = Tethered::start(&python()?, &["-B", &script("jwt_server.py")?], &env)?;
        Ok(Self { process, jwt })
    }

    /// The URL that a client is given.
    pub fn url(&self) -> String {
        self.process.url("/mcp")
    }

    /// Mints the tokens that this server believes.
    pub fn jwt(&self) -> &Jwt {
        &self.jwt
    }

    /// The last lines that the server printed, for a failing test's message.
    pub fn output(&self) -> String {
        self.process.output()
    }
}

/// Program and arguments of a server over stdio that speaks only 2026-07-28 once it was asked
/// `server/discover`. Tools: `add` adds the integers `a` and `b`, `variable` gives the environment
/// variable `name`, or nothing.
///
/// # Panics
/// When the server is not installed.
#[track_caller]
pub fn fastmcp_stdio() -> (String, Vec<String>) {
    (or_fail(python()), vec![or_fail(script("stdio_server.py"))])
}
