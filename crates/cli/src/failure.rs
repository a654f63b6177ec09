//! An error as the command tells it: to people as one line, to programs as a kind and a message.

use mcp_core::Error;
use serde::Serialize;

use crate::terminal::{self, Role};

/// `error` of every document.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Failure {
    pub(crate) kind: &'static str,
    pub(crate) message: String,
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self {
            kind: error.kind().as_str(),
            message: words(error),
        }
    }
}

/// The error and its causes, which are all safe to show, in one line.
pub(crate) fn words(error: &Error) -> String {
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        let text = next.to_string();
        // Some causes repeat what was said above them.
        if !text.is_empty() && !words.contains(&text) {
            words.push_str(": ");
            words.push_str(&text);
        }
        cause = next.source();
    }
    words
}

/// Tells people, and what to do where that is known.
pub(crate) fn complain(error: &Error) {
    complain_of(&Failure::from(error));
    let needs_login = match error.failure() {
        mcp_core::Failure::NeedsAuthorization(_) => true,
        mcp_core::Failure::InsufficientScope { authorization, .. } => authorization.is_some(),
        _ => false,
    };
    if let (true, Some(server)) = (needs_login, error.server()) {
        let command = format!("`mcpt login {server}` asks for it");
        terminal::complain(Role::Heading, "hint", &command);
    }
}

/// Tells people of a failure that was kept.
pub(crate) fn complain_of(failure: &Failure) {
    let message = format!("{} [{}]", failure.message, failure.kind);
    terminal::complain(Role::Failure, "error", &message);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_once() {
        let cause = std::io::Error::other("connection refused");
        let error = Error::config_because("cannot do it", cause);
        assert_eq!(words(&error), "cannot do it: connection refused");
        let failure = Failure::from(&Error::outcome_unknown(error));
        assert_eq!(failure.kind, "outcome_unknown");
        assert_eq!(
            failure.message,
            "the answer was lost; the call may have run: cannot do it: connection refused"
        );
    }
}
