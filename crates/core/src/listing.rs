//! What a server said of itself and offers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rmcp::model::Icon;

use crate::{ProtocolVersion, ToolDefinition};

/// The tools of a server, as one principal sees them, in the server's order.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ToolListing {
    /// Who answered.
    pub server: ServerInfo,
    /// The tools that can be called.
    pub tools: Vec<Arc<ToolDefinition>>,
    /// The tools that cannot, and why.
    pub skipped: Vec<SkippedTool>,
    /// How long the server vouches for the list (2026-07-28, server/utilities/caching). `None` when
    /// it says nothing.
    pub ttl: Option<Duration>,
    /// Who may share the list. Private where the server says nothing.
    pub cache_scope: CacheScope,
}

impl ToolListing {
    /// A listing of a server, empty for a start.
    pub fn new(server: ServerInfo) -> Self {
        Self {
            server,
            tools: Vec::new(),
            skipped: Vec::new(),
            ttl: None,
            cache_scope: CacheScope::Private,
        }
    }
}

/// Who may share a cached answer (2026-07-28, server/utilities/caching).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum CacheScope {
    /// Only who asked with the same credentials.
    #[default]
    Private,
    /// Everybody.
    Public,
}

/// A tool that was left out of a listing.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SkippedTool {
    /// The name that the server gave it, as far as it could be read.
    pub name: String,
    /// Why it is not offered.
    pub reason: String,
}

impl SkippedTool {
    /// A tool and why it was left out.
    pub fn new(name: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            reason: reason.into(),
        }
    }
}

/// What a server says of itself. For people to read: nothing is decided on it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ServerInfo {
    /// Its name; empty when it did not give one.
    pub name: String,
    /// Its version; empty when it did not give one.
    pub version: String,
    /// Its name for people.
    pub title: Option<String>,
    /// What it is, for people.
    pub description: Option<String>,
    /// Where there is more about it, as it says. Whoever shows it as a link checks where it leads.
    pub website_url: Option<String>,
    /// Its icons, as it wrote them.
    pub(crate) icons: Option<Box<str>>,
    /// How it wants to be used, for the model.
    pub instructions: Option<String>,
    /// The protocol version that is spoken with it.
    pub protocol: Option<ProtocolVersion>,
    /// What carries the messages.
    pub transport: Option<Transport>,
}

impl ServerInfo {
    /// Its icons; none where it gave none or nonsense. An address is the server's word: fetched
    /// without care, it leads where the server wants.
    pub fn icons(&self) -> Vec<Icon> {
        let icons = self.icons.as_deref();
        let icons = icons.and_then(|icons| serde_json::from_str(icons).ok());
        icons.unwrap_or_default()
    }
}

/// What carries the messages.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Transport {
    /// One POST per message.
    StreamableHttp,
    /// An event stream and POSTs beside it (2024-11-05).
    Sse,
    /// Lines of a child process.
    Stdio,
    /// No server: the tool runs in this process.
    Local,
}

impl Transport {
    /// The name that logs and the command use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StreamableHttp => "streamable-http",
            Self::Sse => "sse",
            Self::Stdio => "stdio",
            Self::Local => "local",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
