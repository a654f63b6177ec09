//! From a reference to its value.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::error::{SecretError, SecretErrorKind};
use super::scope::SecretScope;
use super::template::Part;
use super::{CommandLine, Form};

/// The largest secret, in bytes.
pub(crate) const MAX_BYTES: usize = 64 * 1024;

pub(crate) async fn resolve(form: &Form, scope: &SecretScope) -> Result<SecretString, SecretError> {
    match form {
        Form::Literal(value) => Ok(value.clone()),
        Form::Template(parts) => fill(parts, scope),
        Form::File(path) => read(scope.path(path), scope).await,
        Form::Command(line) => command(line, scope).await,
    }
}

fn fill(parts: &[Part], scope: &SecretScope) -> Result<SecretString, SecretError> {
    let mut filled = Zeroizing::new(String::new());
    for part in parts {
        match part {
            Part::Text(text) => filled.push_str(text.expose_secret()),
            Part::Variable { name, default } => {
                let wrong = |kind| SecretError::new(format!("environment variable `{name}`"), kind);
                let found = scope.variable(name);
                match (found, default) {
                    (Some(value), None) => filled.push_str(
                        value
                            .to_str()
                            .ok_or_else(|| wrong(SecretErrorKind::NotText))?,
                    ),
                    (Some(value), Some(_)) if !value.is_empty() => filled.push_str(
                        value
                            .to_str()
                            .ok_or_else(|| wrong(SecretErrorKind::NotText))?,
                    ),
                    (_, Some(default)) => filled.push_str(default.expose_secret()),
                    (None, None) => return Err(wrong(SecretErrorKind::Unset)),
                }
            }
        }
    }
    Ok(SecretString::from(filled.as_str()))
}

async fn read(path: PathBuf, scope: &SecretScope) -> Result<SecretString, SecretError> {
    let reference = format!("file `{}`", path.display());
    // A file may be a pipe or lie on a network: it is read where blocking is allowed, under a
    // deadline.
    let reading = tokio::task::spawn_blocking(move || read_bounded(&path));
    let content = match tokio::time::timeout(scope.deadline(), reading).await {
        Ok(Ok(Ok(content))) => content,
        Ok(Ok(Err(error))) => {
            return Err(SecretError::new(reference, SecretErrorKind::Io(error)));
        }
        Ok(Err(_)) => {
            let error = io::Error::other("reading was cut off");
            return Err(SecretError::new(reference, SecretErrorKind::Io(error)));
        }
        Err(_) => {
            let kind = SecretErrorKind::TimedOut(scope.deadline());
            return Err(SecretError::new(reference, kind));
        }
    };
    secret(&content).map_err(|kind| SecretError::new(reference, kind))
}

fn read_bounded(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut content = Zeroizing::new(Vec::with_capacity(4096));
    let limit = MAX_BYTES as u64 + 1;
    File::open(path)?.take(limit).read_to_end(&mut content)?;
    Ok(content)
}

/// The text that a file or a command gave, without the line end at its end.
pub(crate) fn secret(content: &[u8]) -> Result<SecretString, SecretErrorKind> {
    if content.len() > MAX_BYTES {
        return Err(SecretErrorKind::TooLarge);
    }
    let text = std::str::from_utf8(content).map_err(|_| SecretErrorKind::NotText)?;
    let text = text.trim_end_matches(['\r', '\n']);
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.is_empty() {
        return Err(SecretErrorKind::Empty);
    }
    Ok(text.into())
}

#[cfg(feature = "command")]
async fn command(line: &CommandLine, scope: &SecretScope) -> Result<SecretString, SecretError> {
    super::run(line, scope).await
}

#[cfg(not(feature = "command"))]
#[expect(
    clippy::unused_async,
    reason = "the same shape with and without the feature"
)]
async fn command(line: &CommandLine, _: &SecretScope) -> Result<SecretString, SecretError> {
    let error = io::Error::from(io::ErrorKind::Unsupported);
    Err(SecretError::new(line, SecretErrorKind::Io(error)))
}
