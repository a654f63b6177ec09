//! The `mcpServers` file that people already have, as a typed value.
//!
//! [`Config`] reads `mcpServers` and VS Code's `servers`, comments and trailing commas included.
//! Secret references in it stay references ([`SecretRef`](mcp_auth::SecretRef)) until a principal
//! needs them. A mistake is told with file, line, server and field, never with a value.
//!
//! ```
//! use mcp_toolkit::config::{Config, Endpoint};
//!
//! let config = Config::parse(r#"{"mcpServers": {
//!     "github": {"url": "https://example.com/mcp",
//!                "headers": {"Authorization": "Bearer ${GITHUB_TOKEN}"}},
//!     "files": {"command": "npx", "args": ["-y", "server-filesystem"]}
//! }}"#)?;
//!
//! let github = config.server("github")?;
//! assert!(matches!(&github.endpoint, Endpoint::Http(http) if http.headers.len() == 1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod auth;
mod error;
#[cfg(feature = "cache")]
mod everybody;
mod fields;
mod file;
mod json;
mod literal;
mod load;
mod nearest;
#[cfg(feature = "oauth")]
mod oauth;
#[cfg(any(test, feature = "schema"))]
mod schema;
mod secret;
mod server;
mod table;
#[cfg(test)]
mod tests;

pub use auth::{AssertionAudience, AuthConfig, ClientAuthMethod, Dpop, OAuthConfig, OAuthGrant};
pub use error::{ConfigError, ConfigWarning};
#[cfg(feature = "cache")]
pub(crate) use everybody::{Given, Loader};
pub use file::Config;
pub use load::ServerLoader;
pub use nearest::nearest;
#[cfg(feature = "oauth")]
pub use oauth::OAuthSurroundings;
pub use secret::ConfiguredSecret;
pub use server::{Endpoint, HttpConfig, HttpTransport, ServerConfig, StdioConfig};

/// The [JSON Schema](https://json-schema.org) of the file, for editors: `"$schema"` in the file may
/// name a copy of it. It takes what [`Config::parse`] takes without a warning. With the feature
/// `schema`, `schemars::schema_for!(Config)` gives the same.
pub const SCHEMA: &str = include_str!("../schema/mcp-config.schema.json");
