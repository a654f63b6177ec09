//! The step `configuration`: what the entry says, before anybody is asked.

use mcp_auth::Principal;
use mcp_core::{Error, Limits};
use mcp_toolkit::config::{ConfigWarning, ServerConfig};

use super::diagnosis::{Begun, Diagnosis, begin};
use crate::failure;
use crate::servers::Chosen;
use crate::tokens::TokenPlace;

/// For whom, and how patiently.
#[derive(Debug)]
pub(crate) struct Patient<'a> {
    pub(crate) principal: &'a Principal,
    pub(crate) limits: Limits,
    pub(crate) tokens: Option<&'a TokenPlace>,
}

/// The entry, unless it is wrong. Its warnings are kept for the step that looks at its values.
pub(crate) fn read(diagnosis: &mut Diagnosis, chosen: Chosen) -> Option<ServerConfig> {
    let begun = begin("configuration");
    match chosen.server {
        Ok(server) => {
            let mut warnings = chosen.warnings;
            warnings.extend(server.literal_secrets());
            diagnosis.noted = warnings;
            Some(server)
        }
        Err(error) => {
            // What is odd about the entry may be why: a name that was mistyped.
            diagnosis.noted = chosen.warnings;
            refuse(diagnosis, &begun, error);
            None
        }
    }
}

/// The values can be had: tells the warnings, if there are any.
pub(crate) fn accept(diagnosis: &mut Diagnosis, begun: &Begun) {
    let noted = std::mem::take(&mut diagnosis.noted);
    let Some(first) = noted.first() else {
        diagnosis.ok(begun, "");
        return;
    };
    let texts: Vec<_> = noted.iter().map(ConfigWarning::to_string).collect();
    let advice = first.to_string();
    diagnosis.warn(begun, texts.join("; "), &advice);
}

/// The entry, or a value that it refers to, is wrong.
pub(crate) fn refuse(diagnosis: &mut Diagnosis, begun: &Begun, error: Error) {
    let words = failure::words(&error);
    let is_unset = words.contains("environment variable") && words.contains("is not set");
    let noted = std::mem::take(&mut diagnosis.noted);
    let advice = if is_unset && words.contains("field `envFrom`") {
        "set the variable, or take it out of `envFrom`".to_owned()
    } else if is_unset {
        "set the variable, or give a default: `${NAME:-default}`".to_owned()
    } else if words.contains("there is no server") {
        "name a server of the file".to_owned()
    } else if words.contains("is set by the protocol") {
        "leave this header out: the protocol sets it by itself".to_owned()
    } else if words.contains("plain HTTP") {
        "write `https://`; plain HTTP is for servers on this machine".to_owned()
    } else if let Some(odd) = noted.first() {
        format!("correct the entry: {odd}; and: {words}")
    } else {
        format!("correct the entry: {words}")
    };
    diagnosis.fail(begun, error, advice);
}
