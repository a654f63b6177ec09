//! The exit code: the one place where a kind of error becomes a number.

use std::process::ExitCode;

use mcp_core::ErrorKind;

/// How the command ended, as scripts see it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// All that was asked for worked.
    Done = 0,
    /// The tool answered with `isError`.
    ToolError = 1,
    /// The command line or the file is wrong.
    Usage = 2,
    /// Authentication or authorization is missing or refused, or no credential could be had.
    Authorization = 3,
    /// A server could not be reached, broke the protocol, or took too long.
    Server = 4,
    /// A call's outcome is unknown.
    OutcomeUnknown = 5,
}

impl From<ErrorKind> for Exit {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Config
            | ErrorKind::InvalidArguments
            | ErrorKind::UnknownTool
            | ErrorKind::UnknownServer => Self::Usage,
            // `denied` is a policy of this side's that says no: a permission that is missing.
            ErrorKind::NeedsAuthorization
            | ErrorKind::AuthorizationDenied
            | ErrorKind::Unauthorized
            | ErrorKind::Forbidden
            | ErrorKind::InsufficientScope
            | ErrorKind::CredentialUnavailable
            | ErrorKind::Denied => Self::Authorization,
            ErrorKind::OutcomeUnknown => Self::OutcomeUnknown,
            // Connect, Tls, AddressRefused, RedirectRefused, HttpStatus, Protocol, LimitExceeded,
            // Timeout, Cancelled, SessionLost, ServerExited, and what is not known yet.
            _ => Self::Server,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_code() {
        let codes = [
            (ErrorKind::Config, 2),
            (ErrorKind::InvalidArguments, 2),
            (ErrorKind::UnknownTool, 2),
            (ErrorKind::UnknownServer, 2),
            (ErrorKind::NeedsAuthorization, 3),
            (ErrorKind::AuthorizationDenied, 3),
            (ErrorKind::Unauthorized, 3),
            (ErrorKind::Forbidden, 3),
            (ErrorKind::InsufficientScope, 3),
            (ErrorKind::CredentialUnavailable, 3),
            (ErrorKind::Denied, 3),
            (ErrorKind::Connect, 4),
            (ErrorKind::Tls, 4),
            (ErrorKind::AddressRefused, 4),
            (ErrorKind::RedirectRefused, 4),
            (ErrorKind::HttpStatus, 4),
            (ErrorKind::Protocol, 4),
            (ErrorKind::LimitExceeded, 4),
            (ErrorKind::Timeout, 4),
            (ErrorKind::Cancelled, 4),
            (ErrorKind::SessionLost, 4),
            (ErrorKind::ServerExited, 4),
            (ErrorKind::OutcomeUnknown, 5),
        ];
        for (kind, code) in codes {
            assert_eq!(Exit::from(kind) as u8, code, "{kind}");
        }
    }
}
