//! What is printed: for programs as one JSON document, for people as text and tables.

pub(crate) mod call;
pub(crate) mod doctor;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod repeat;
mod table;
pub(crate) mod tools;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::failure::Failure;
use crate::terminal::{Look, escape_json};

/// What a command prints that failed before it came to anything of its own.
#[derive(Serialize)]
struct Failed<'a> {
    status: &'static str,
    error: &'a Failure,
}

/// The document of a command line that is wrong.
pub(crate) fn failed(failure: &Failure, look: Look) -> String {
    let status = "failed";
    document(
        &Failed {
            status,
            error: failure,
        },
        look,
    )
}

/// One document on one line.
fn document(value: &impl Serialize, look: Look) -> String {
    // Made of texts, numbers and JSON that was read as such: it can be written.
    let mut text = serde_json::to_string(value).unwrap_or_default();
    text.push('\n');
    if look.terminal {
        text = escape_json(&text).into_owned();
    }
    text
}

/// JSON text that was read as such, to stand in a document as it is.
fn raw(text: &str) -> Option<&RawValue> {
    serde_json::from_str(text).ok()
}
