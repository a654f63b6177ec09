//! One entry of the file: a server, and how to reach it.

mod fields;
mod read;

use std::path::PathBuf;
use std::time::Duration;

use mcp_auth::ServerId;
use mcp_core::ProtocolVersion;
use mcp_http::{AllowedHosts, HttpUrl};

#[cfg(any(test, feature = "schema"))]
pub(super) use self::fields::{FIELDS, HTTP_FIELDS, STDIO_FIELDS, http_kinds};
pub(super) use self::read::Surroundings;
use super::auth::AuthConfig;
use super::secret::ConfiguredSecret;

/// A server of the file, or one that is put together by hand.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerConfig {
    /// The server's name here: its key in the file.
    pub id: ServerId,
    /// Where it is.
    pub endpoint: Endpoint,
    /// The protocol version to speak; `None` finds the newest that both sides know.
    pub protocol: Option<ProtocolVersion>,
    /// Only these tools, by the server's own names.
    pub enabled_tools: Option<Vec<String>>,
    /// Not these tools, by the server's own names.
    pub disabled_tools: Vec<String>,
    /// What exposed names begin with.
    pub tool_name_prefix: Option<String>,
    /// From nothing to a server that has told its version.
    pub startup_timeout: Option<Duration>,
    /// One whole call.
    pub tool_timeout: Option<Duration>,
    /// Left out unless it is asked for by name.
    pub disabled: bool,
}

/// Where a server is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Endpoint {
    /// Behind a URL.
    Http(HttpConfig),
    /// A child process.
    Stdio(StdioConfig),
}

/// A server behind a URL.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HttpConfig {
    /// Its URL.
    pub url: HttpUrl,
    /// How it is spoken to.
    pub transport: HttpTransport,
    /// Headers of every request.
    pub headers: Vec<(String, ConfiguredSecret)>,
    /// A program and its arguments that prints a JSON object of headers.
    pub headers_helper: Option<Vec<String>>,
    /// How a token is had.
    pub auth: Option<AuthConfig>,
    /// The only hosts that requests may go to: those of the file and those of the entry, where both
    /// say.
    pub allowed_hosts: Option<AllowedHosts>,
}

/// How a server behind a URL is spoken to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum HttpTransport {
    /// Streamable HTTP, and HTTP+SSE where the server turns out to be of that time.
    #[default]
    Auto,
    /// Streamable HTTP.
    Http,
    /// HTTP+SSE.
    Sse,
}

/// A child process.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StdioConfig {
    /// The program.
    pub command: String,
    /// Its arguments. Every user of the machine can see them: secrets belong in `env`.
    pub args: Vec<String>,
    /// Variables, which win over inherited ones.
    pub env: Vec<(String, ConfiguredSecret)>,
    /// Variables of this process to pass on.
    pub env_from: Vec<String>,
    /// Whether the child gets all variables of this process.
    pub inherit_env: bool,
    /// Variables that may be set although they make a loader or interpreter run other code.
    pub allow_unsafe_env: Vec<String>,
    /// Where it runs.
    pub cwd: Option<PathBuf>,
    /// How many processes of it there may be at once, over all users; `None` is 64.
    pub max_children: Option<usize>,
}

impl ServerConfig {
    /// A server with nothing said about it but where it is.
    pub fn new(id: ServerId, endpoint: Endpoint) -> Self {
        Self {
            id,
            endpoint,
            protocol: None,
            enabled_tools: None,
            disabled_tools: Vec::new(),
            tool_name_prefix: None,
            startup_timeout: None,
            tool_timeout: None,
            disabled: false,
        }
    }
}

impl HttpConfig {
    /// A server behind a URL, spoken to without credentials.
    pub fn new(url: HttpUrl) -> Self {
        Self {
            url,
            transport: HttpTransport::Auto,
            headers: Vec::new(),
            headers_helper: None,
            auth: None,
            allowed_hosts: None,
        }
    }
}

impl StdioConfig {
    /// A child process with the short safe environment.
    pub fn new(command: impl Into<String>) -> Self {
        Self {
            command: command.into(),
            args: Vec::new(),
            env: Vec::new(),
            env_from: Vec::new(),
            inherit_env: false,
            allow_unsafe_env: Vec::new(),
            cwd: None,
            max_children: None,
        }
    }
}
