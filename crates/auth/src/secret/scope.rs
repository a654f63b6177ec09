//! The surroundings in which references are resolved.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How long a file or a command may take.
const DEADLINE: Duration = Duration::from_secs(30);

/// Where references find variables, files and the time they may take. The default is the process's
/// environment, its working directory and 30 seconds.
#[derive(Clone, Default)]
pub struct SecretScope {
    lookup: Option<Arc<Lookup>>,
    base: Option<PathBuf>,
    extra: Vec<(String, String)>,
    deadline: Option<Duration>,
}

type Lookup = dyn Fn(&str) -> Option<OsString> + Send + Sync;

impl SecretScope {
    /// The process's own surroundings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes variables from here instead of from the process's environment.
    pub fn with_lookup(
        mut self,
        lookup: impl Fn(&str) -> Option<OsString> + Send + Sync + 'static,
    ) -> Self {
        self.lookup = Some(Arc::new(lookup));
        self
    }

    /// Takes relative paths from here, and runs commands here.
    pub fn with_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.base = Some(directory.into());
        self
    }

    /// Lets commands see one more variable; it is not looked at by references.
    pub fn with_variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.extra.push((name.into(), value.into()));
        self
    }

    /// How long a file or a command may take (default 30 s).
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    pub(crate) fn variable(&self, name: &str) -> Option<OsString> {
        match &self.lookup {
            Some(lookup) => lookup(name),
            None => std::env::var_os(name),
        }
    }

    pub(crate) fn path(&self, path: &Path) -> PathBuf {
        match &self.base {
            Some(base) => base.join(path),
            None => path.to_owned(),
        }
    }

    #[cfg(feature = "command")]
    pub(crate) fn directory(&self) -> Option<&Path> {
        self.base.as_deref()
    }

    #[cfg(feature = "command")]
    pub(crate) fn extra(&self) -> &[(String, String)] {
        &self.extra
    }

    pub(crate) fn deadline(&self) -> Duration {
        self.deadline.unwrap_or(DEADLINE)
    }
}

/// Shows names only.
impl fmt::Debug for SecretScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.extra.iter().map(|(name, _)| name).collect();
        f.debug_struct("SecretScope")
            .field("directory", &self.base)
            .field("variables", &names)
            .field("deadline", &self.deadline())
            .finish_non_exhaustive()
    }
}
