//! A real authorization server (npm `oidc-provider`, certified) and a real resource that trusts it
//! (`fastmcp`).

use std::fmt;
use std::process::Command;

use anyhow::Result;
use serde_json::{Value, json};

use super::install::{npm_file, python, script};
use super::jwt::Jwt;
use super::tethered::Tethered;
use crate::report::or_fail;

/// An authorization server with PKCE, refresh rotation, DPoP, resource indicators, client
/// credentials, device code, dynamic registration and revocation.
///
/// Anybody can sign in there with any password. Beside it, at [`bound_url`](Self::bound_url), is a
/// resource that takes only tokens bound to a key, with a nonce that is new for every answer.
pub struct OidcProvider {
    process: Tethered,
    secret: String,
}

impl OidcProvider {
    /// The secret of the clients that were registered beforehand.
    pub const CLIENT_SECRET: &str = "test-client-secret-0123456789abcdef";

    /// Starts one whose tokens live for an hour.
    ///
    /// # Panics
    /// When the server is not installed or does not start; the message says why.
    #[track_caller]
    pub fn start() -> Self {
        or_fail(Self::try_start(&[], false))
    }

    /// Starts one that demands a nonce in proofs of possession and knows these clients: objects as
    /// in a dynamic registration, with `client_id`.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    #[track_caller]
    pub fn start_with(clients: &[Value], demands_nonce: bool) -> Self {
        or_fail(Self::try_start(clients, demands_nonce))
    }

    /// A client of the client credentials grant that authenticates with
    /// [`CLIENT_SECRET`](Self::CLIENT_SECRET).
    pub fn machine_client(id: &str) -> Value {
        json!({
            "client_id": id,
            "client_secret": Self::CLIENT_SECRET,
            "grant_types": ["client_credentials"],
            "redirect_uris": [],
            "response_types": [],
            "token_endpoint_auth_method": "client_secret_basic",
        })
    }

    fn try_start(clients: &[Value], demands_nonce: bool) -> Result<Self> {
        let secret = Jwt::new()?.secret().to_owned();
        let clients = Value::from(clients).to_string();
        let env = [
            ("TESTBED_JWT_SECRET", secret.as_str()),
            ("TESTBED_CLIENTS", &clients),
            ("TESTBED_DPOP_NONCE", if demands_nonce { "1" } else { "0" }),
        ];
        let entry = npm_file("oidc-provider", &["lib", "index.js"])?;
        let process = Tethered::start("node", &[&script("oidc_provider.mjs")?, &entry], &env)?;
        Ok(Self { process, secret })
    }

    /// Its issuer identifier.
    pub fn issuer(&self) -> String {
        self.process.url("")
    }

    /// A resource of its own that takes only tokens bound to a key.
    pub fn bound_url(&self) -> String {
        self.process.url("/bound/mcp")
    }

    /// Where it counts what it did: `success` and `error` by grant, `registered`, `revoked`.
    pub fn stats_url(&self) -> String {
        self.process.url("/testbed/stats")
    }

    /// The last lines that the server printed, for a failing test's message.
    pub fn output(&self) -> String {
        self.process.output()
    }
}

impl fmt::Debug for OidcProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OidcProvider")
            .field("process", &self.process)
            .finish_non_exhaustive()
    }
}

/// A key pair of a client, made for one test.
pub struct SigningPair {
    /// `ES256`, `RS256` or `EdDSA`.
    pub algorithm: String,
    /// The private key, PKCS#8.
    pub pem: String,
    /// The public key as a JWK.
    pub public: Value,
}

impl SigningPair {
    /// One of each algorithm.
    ///
    /// # Panics
    /// When node cannot be run.
    #[track_caller]
    pub fn generate() -> Vec<Self> {
        or_fail(Self::try_generate())
    }

    fn try_generate() -> Result<Vec<Self>> {
        let output = Command::new("node").arg(script("keys.mjs")?).output()?;
        let made: Vec<Value> = serde_json::from_slice(&output.stdout)?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let pair = |made: Value| Self {
            algorithm: text(&made["algorithm"]),
            pem: text(&made["pem"]),
            public: made["public"].clone(),
        };
        Ok(made.into_iter().map(pair).collect())
    }
}

impl fmt::Debug for SigningPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningPair")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// A fastmcp server that sends its users to an [`OidcProvider`] and wants the scope `tools:read`.
///
/// Tools: `whoami` gives the token's subject, `token_id` tells one token from another.
///
/// Its metadata spells the issuer with a slash behind it, as fastmcp does.
#[derive(Debug)]
pub struct FastMcpOAuthServer {
    process: Tethered,
}

impl FastMcpOAuthServer {
    /// Streamable HTTP.
    ///
    /// # Panics
    /// When the server is not installed or does not start; the message says why.
    #[track_caller]
    pub fn start(provider: &OidcProvider) -> Self {
        or_fail(Self::try_start(provider))
    }

    fn try_start(provider: &OidcProvider) -> Result<Self> {
        let issuer = provider.issuer();
        let env = [
            ("TESTBED_JWT_SECRET", provider.secret.as_str()),
            ("TESTBED_JWT_ISSUER", &issuer),
            ("PYTHONUNBUFFERED", "1"),
            ("NO_COLOR", "1"),
        ];
        let process = Tethered::start(&python()?, &["-B", &script("oauth_server.py")?], &env)?;
        Ok(Self { process })
    }

    /// The URL that a client is given.
    pub fn url(&self) -> String {
        self.process.url("/mcp")
    }

    /// The last lines that the server printed, for a failing test's message.
    pub fn output(&self) -> String {
        self.process.output()
    }
}
