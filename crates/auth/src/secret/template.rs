//! `${VAR}` and `${VAR:-default}` within a text.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use super::error::{SecretError, SecretErrorKind};

/// A piece of a template.
pub(crate) enum Part {
    Text(SecretString),
    Variable {
        name: String,
        default: Option<SecretString>,
    },
}

/// The parts of a template; `None` when nothing is to be replaced.
pub(crate) fn parse(text: &SecretString) -> Result<Option<Vec<Part>>, SecretError> {
    let mut rest = text.expose_secret();
    if !rest.contains("${") {
        return Ok(None);
    }
    let mut parts = Vec::new();
    while let Some((before, after)) = rest.split_once("${") {
        let Some((inner, behind)) = after.split_once('}') else {
            return Err(SecretError::new(
                "a `${` without `}`",
                SecretErrorKind::Malformed,
            ));
        };
        if !before.is_empty() {
            parts.push(Part::Text(before.into()));
        }
        let (name, default) = match inner.split_once(":-") {
            Some((name, default)) => (name, Some(default.into())),
            None => (inner, None),
        };
        check_name(name)?;
        parts.push(Part::Variable {
            name: name.to_owned(),
            default,
        });
        rest = behind;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest.into()));
    }
    Ok(Some(parts))
}

/// Refuses what no shell would take for a name; what was written may be a secret in the wrong
/// place, so it is not shown.
pub(crate) fn check_name(name: &str) -> Result<(), SecretError> {
    let mut bytes = name.bytes();
    let begins = bytes
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if begins && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Ok(());
    }
    Err(SecretError::new(
        "a reference to an environment variable",
        SecretErrorKind::Malformed,
    ))
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("…"),
            Self::Variable {
                name,
                default: None,
            } => write!(f, "${{{name}}}"),
            Self::Variable { name, .. } => write!(f, "${{{name}:-…}}"),
        }
    }
}
