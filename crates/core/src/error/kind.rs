//! The kind of an error, for programs.

use std::fmt;

/// The kind of an [`Error`](super::Error), for programs: its names are stable and appear in logs,
/// audit records and the command's output.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// `config`
    Config,
    /// `invalid_arguments`
    InvalidArguments,
    /// `needs_authorization`
    NeedsAuthorization,
    /// `authorization_denied`
    AuthorizationDenied,
    /// `unauthorized`
    Unauthorized,
    /// `forbidden`
    Forbidden,
    /// `insufficient_scope`
    InsufficientScope,
    /// `credential_unavailable`
    CredentialUnavailable,
    /// `connect`
    Connect,
    /// `tls`
    Tls,
    /// `address_refused`
    AddressRefused,
    /// `redirect_refused`
    RedirectRefused,
    /// `http_status`
    HttpStatus,
    /// `protocol`
    Protocol,
    /// `limit_exceeded`
    LimitExceeded,
    /// `timeout`
    Timeout,
    /// `cancelled`
    Cancelled,
    /// `session_lost`
    SessionLost,
    /// `outcome_unknown`
    OutcomeUnknown,
    /// `server_exited`
    ServerExited,
    /// `denied`
    Denied,
    /// `unknown_tool`
    UnknownTool,
    /// `unknown_server`
    UnknownServer,
}

impl ErrorKind {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::InvalidArguments => "invalid_arguments",
            Self::NeedsAuthorization => "needs_authorization",
            Self::AuthorizationDenied => "authorization_denied",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::InsufficientScope => "insufficient_scope",
            Self::CredentialUnavailable => "credential_unavailable",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::AddressRefused => "address_refused",
            Self::RedirectRefused => "redirect_refused",
            Self::HttpStatus => "http_status",
            Self::Protocol => "protocol",
            Self::LimitExceeded => "limit_exceeded",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::SessionLost => "session_lost",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::ServerExited => "server_exited",
            Self::Denied => "denied",
            Self::UnknownTool => "unknown_tool",
            Self::UnknownServer => "unknown_server",
        }
    }
}

impl ErrorKind {
    /// Whether the server, or who gives out credentials for it, turned the principal away: what was
    /// known of what the principal may see is not known any more.
    pub const fn is_refusal(self) -> bool {
        matches!(
            self,
            Self::Unauthorized
                | Self::Forbidden
                | Self::InsufficientScope
                | Self::NeedsAuthorization
                | Self::AuthorizationDenied
        )
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
