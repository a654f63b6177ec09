//! What is wrong with a file, and where.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mcp_core::{Error, Failure};

use super::nearest::nearest;

/// A place in a file: enough for a person to find it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Place {
    pub(crate) file: Option<Arc<Path>>,
    pub(crate) line: Option<usize>,
    pub(crate) server: Option<Arc<str>>,
    pub(crate) field: Option<Arc<str>>,
}

/// A mistake in a configuration, with its place. Never shows a value, since any value may be a
/// secret in the wrong place.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{place}{problem}")]
pub struct ConfigError {
    place: Box<Place>,
    problem: Cow<'static, str>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl ConfigError {
    pub(crate) fn new(place: Place, problem: impl Into<Cow<'static, str>>) -> Self {
        Self {
            place: Box::new(place),
            problem: problem.into(),
            source: None,
        }
    }

    pub(crate) fn because(
        mut self,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// The file, where there is one.
    pub fn file(&self) -> Option<&Path> {
        self.place.file.as_deref()
    }

    /// The line in the file, from 1.
    pub fn line(&self) -> Option<usize> {
        self.place.line
    }

    /// The server whose entry is wrong.
    pub fn server(&self) -> Option<&str> {
        self.place.server.as_deref()
    }

    /// The field that is wrong, such as `auth.token`.
    pub fn field(&self) -> Option<&str> {
        self.place.field.as_deref()
    }

    /// What is wrong, without the place.
    pub fn problem(&self) -> &str {
        &self.problem
    }
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Failure::Config {
            message: error.to_string(),
            source: error.source,
        }
        .into()
    }
}

/// Something in a configuration that works, and is probably not what was meant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConfigWarning {
    place: Place,
    problem: Cow<'static, str>,
}

impl ConfigWarning {
    pub(crate) fn new(place: Place, problem: impl Into<Cow<'static, str>>) -> Self {
        Self {
            place,
            problem: problem.into(),
        }
    }

    pub(crate) fn unknown_field<'k>(
        place: Place,
        name: &str,
        known: impl Iterator<Item = &'k str>,
    ) -> Self {
        let problem = match nearest(name, known) {
            Some(near) => Cow::Owned(format!("unknown field; did you mean `{near}`?")),
            None => Cow::Borrowed("unknown field"),
        };
        Self::new(place, problem)
    }

    /// The file, where there is one.
    pub fn file(&self) -> Option<PathBuf> {
        self.place.file.as_deref().map(Path::to_owned)
    }

    /// The line in the file, from 1.
    pub fn line(&self) -> Option<usize> {
        self.place.line
    }

    /// The server whose entry it is about.
    pub fn server(&self) -> Option<&str> {
        self.place.server.as_deref()
    }

    /// The field that it is about.
    pub fn field(&self) -> Option<&str> {
        self.place.field.as_deref()
    }
}

impl fmt::Display for ConfigWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.place, self.problem)
    }
}

/// `mcp.json:12: server `github`, field `auth.token`: `, or less where less is known.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}:", file.display())?;
            if let Some(line) = self.line {
                write!(f, "{line}:")?;
            }
            f.write_str(" ")?;
        } else if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        match (&self.server, &self.field) {
            (Some(server), Some(field)) => write!(f, "server `{server}`, field `{field}`: "),
            (Some(server), None) => write!(f, "server `{server}`: "),
            (None, Some(field)) => write!(f, "field `{field}`: "),
            (None, None) => Ok(()),
        }
    }
}
