//! What a login gave, printed.

use std::fmt::Write as _;

use mcp_core::Error;
use mcp_toolkit::oauth::Authorized;
use serde::Serialize;

use super::document;
use crate::failure::Failure;
use crate::terminal::{Look, clean_line};

#[derive(Serialize)]
struct Document<'a> {
    server: &'a str,
    status: &'static str,
    scopes: &'a [String],
    /// In seconds, as RFC 3339 writes it.
    expires_at: Option<String>,
    issuer: &'a str,
}

#[derive(Serialize)]
struct Failed<'a> {
    server: &'a str,
    status: &'static str,
    error: Failure,
}

/// The document of a login.
pub(crate) fn json(server: &str, outcome: Result<&Authorized, &Error>, look: Look) -> String {
    match outcome {
        Ok(authorized) => document(
            &Document {
                server,
                status: "ok",
                scopes: &authorized.scopes,
                expires_at: end(authorized),
                issuer: &authorized.issuer,
            },
            look,
        ),
        Err(error) => failed(server, error, look),
    }
}

/// The document of a login or logout that failed.
pub(crate) fn failed(server: &str, error: &Error, look: Look) -> String {
    let (status, error) = ("failed", Failure::from(error));
    document(
        &Failed {
            server,
            status,
            error,
        },
        look,
    )
}

/// The line for people.
pub(crate) fn human(server: &str, authorized: &Authorized) -> String {
    let mut text = format!(
        "logged in to {} as {}, by {}",
        clean_line(server),
        clean_line(&authorized.principal.to_string()),
        clean_line(&authorized.issuer),
    );
    if !authorized.scopes.is_empty() {
        let _written = write!(text, ", for {}", clean_line(&authorized.scopes.join(" ")));
    }
    if let Some(end) = end(authorized) {
        let _written = write!(text, "; the token ends {end}");
    }
    text.push('\n');
    text
}

fn end(authorized: &Authorized) -> Option<String> {
    let end = authorized.expires_at?;
    Some(humantime::format_rfc3339_seconds(end).to_string())
}
