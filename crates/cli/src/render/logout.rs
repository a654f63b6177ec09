//! What a logout gave, printed.

use mcp_core::Error;
use mcp_toolkit::oauth::LoggedOut;
use serde::Serialize;

use super::document;
use crate::terminal::{Look, clean_line};

#[derive(Serialize)]
struct Document<'a> {
    server: &'a str,
    status: &'static str,
    revoked: bool,
}

/// The document of a logout.
pub(crate) fn json(server: &str, outcome: Result<&LoggedOut, &Error>, look: Look) -> String {
    match outcome {
        Ok(outcome) => document(
            &Document {
                server,
                status: "ok",
                revoked: outcome.revoked,
            },
            look,
        ),
        Err(error) => super::login::failed(server, error, look),
    }
}

/// The line for people.
pub(crate) fn human(server: &str, outcome: LoggedOut) -> String {
    let server = clean_line(server);
    match (outcome.had_token, outcome.revoked) {
        (false, _) => format!("nobody was logged in to {server}\n"),
        (true, true) => format!("logged out of {server}\n"),
        (true, false) => format!(
            "logged out of {server} here; its authorization server did not confirm that the token is \
             worthless\n"
        ),
    }
}
