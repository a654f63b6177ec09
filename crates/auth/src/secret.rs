//! References to secrets: where a value comes from, instead of the value.

#[cfg(feature = "command")]
mod command;
#[cfg(feature = "serde")]
mod de;
mod error;
mod resolve;
mod scope;
mod template;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::SecretString;

#[cfg(feature = "command")]
pub(crate) use command::run;
pub use error::{SecretError, SecretErrorKind};
pub use scope::SecretScope;
use template::Part;

/// Where a secret comes from: an environment variable, a file, a command, or the text itself.
///
/// Resolved with [`SecretRef::resolve`] when it is needed, so that a file or a command gives its
/// present value. Printing shows the reference and never a value. Cloning is cheap.
///
/// ```
/// use mcp_auth::SecretRef;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), mcp_auth::SecretError> {
/// let token = SecretRef::template("${NO_SUCH_VARIABLE:-test-token}")?;
/// assert_eq!(token.to_string(), "${NO_SUCH_VARIABLE:-…}");
/// let secret = token.resolve().await?;
/// # Ok(())
/// # }
/// ```
///
/// With the feature `serde` it is read from configuration: a string (in which `${VAR}` and
/// `${VAR:-default}` are replaced), `{"env": "VAR"}`, `{"file": "path"}` or
/// `{"command": ["prog", "arg"]}`. It is never written to one.
#[derive(Clone)]
pub struct SecretRef(Arc<Form>);

pub(crate) enum Form {
    Literal(SecretString),
    Template(Vec<Part>),
    File(PathBuf),
    #[cfg_attr(
        not(feature = "command"),
        expect(dead_code, reason = "made and run only with the feature")
    )]
    Command(CommandLine),
}

/// A program and its arguments; no shell looks at them.
#[derive(Clone)]
pub(crate) struct CommandLine {
    pub(crate) program: String,
    pub(crate) arguments: Vec<String>,
}

/// What kind of reference it is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum SecretKind {
    /// The value itself stands there.
    Literal,
    /// Environment variables, alone or within a text.
    Environment,
    /// The content of a file, read anew each time.
    File,
    /// What a command prints, run anew each time.
    Command,
}

impl SecretRef {
    /// The value itself.
    pub fn literal(value: impl Into<SecretString>) -> Self {
        Self(Arc::new(Form::Literal(value.into())))
    }

    /// An environment variable.
    ///
    /// # Errors
    /// When the name is not one a variable can have.
    pub fn env(name: impl Into<String>) -> Result<Self, SecretError> {
        Self::variable(name.into(), None)
    }

    /// An environment variable, or this value where it is unset or empty.
    ///
    /// # Errors
    /// When the name is not one a variable can have.
    pub fn env_or(
        name: impl Into<String>,
        default: impl Into<SecretString>,
    ) -> Result<Self, SecretError> {
        Self::variable(name.into(), Some(default.into()))
    }

    /// Text in which `${VAR}` and `${VAR:-default}` are replaced. Text without either is a literal.
    ///
    /// # Errors
    /// When a `${` is not closed or has no variable's name behind it.
    pub fn template(text: impl Into<SecretString>) -> Result<Self, SecretError> {
        let text = text.into();
        Ok(match template::parse(&text)? {
            Some(parts) => Self(Arc::new(Form::Template(parts))),
            None => Self::literal(text),
        })
    }

    /// A file's content without the line end at its end, at most 64 KiB. Read anew each time, so a
    /// secret that is mounted and replaced is noticed.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Arc::new(Form::File(path.into())))
    }

    /// What a command prints, without the line end at its end, at most 64 KiB. Run anew each time,
    /// without a shell. Arguments are visible to every user of the machine: put no secret there.
    #[cfg(feature = "command")]
    pub fn command<A: Into<String>>(
        program: impl Into<String>,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        Self(Arc::new(Form::Command(CommandLine::new(
            program, arguments,
        ))))
    }

    /// What kind of reference it is.
    pub fn kind(&self) -> SecretKind {
        match &*self.0 {
            Form::Literal(_) => SecretKind::Literal,
            Form::Template(_) => SecretKind::Environment,
            Form::File(_) => SecretKind::File,
            Form::Command(_) => SecretKind::Command,
        }
    }

    /// Whether the value itself stands in the configuration.
    pub fn is_literal(&self) -> bool {
        self.kind() == SecretKind::Literal
    }

    /// The variables it names, in order.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        let parts = match &*self.0 {
            Form::Template(parts) => parts.as_slice(),
            _ => &[],
        };
        parts.iter().filter_map(|part| match part {
            Part::Variable { name, .. } => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// The file it names.
    pub fn path(&self) -> Option<&Path> {
        match &*self.0 {
            Form::File(path) => Some(path),
            _ => None,
        }
    }

    /// The value at present, out of the process's environment.
    ///
    /// # Errors
    /// When a variable is unset, a file cannot be read or a command fails. The error names the
    /// reference, never a value. Dropping the future ends a command.
    pub async fn resolve(&self) -> Result<SecretString, SecretError> {
        self.resolve_in(&SecretScope::new()).await
    }

    /// The value at present, with variables and relative paths as the scope has them.
    ///
    /// # Errors
    /// As [`SecretRef::resolve`].
    pub async fn resolve_in(&self, scope: &SecretScope) -> Result<SecretString, SecretError> {
        resolve::resolve(&self.0, scope).await
    }

    fn variable(name: String, default: Option<SecretString>) -> Result<Self, SecretError> {
        template::check_name(&name)?;
        Ok(Self(Arc::new(Form::Template(vec![Part::Variable {
            name,
            default,
        }]))))
    }
}

/// The reference, as it would be written; a literal and a default are not shown.
impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Form::Literal(_) => f.write_str("[redacted]"),
            Form::Template(parts) => parts.iter().try_for_each(|part| part.fmt(f)),
            Form::File(path) => write!(f, "file `{}`", path.display()),
            Form::Command(line) => line.fmt(f),
        }
    }
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretRef({self})")
    }
}

impl From<SecretString> for SecretRef {
    fn from(value: SecretString) -> Self {
        Self::literal(value)
    }
}

impl CommandLine {
    #[cfg(feature = "command")]
    pub(crate) fn new<A: Into<String>>(
        program: impl Into<String>,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        Self {
            program: program.into(),
            arguments: arguments.into_iter().map(Into::into).collect(),
        }
    }
}

/// Names the program only: arguments may hold what they should not.
impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "command `{}`", self.program)
    }
}

impl fmt::Debug for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "CommandLine(`{}`, {} arguments)",
            self.program,
            self.arguments.len()
        )
    }
}
