//! What a child gets of this process's own variables.

use std::ffi::{OsStr, OsString};

/// Which variables of this process a child gets, besides those that are named.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum EnvPolicy {
    /// A short list that holds no secrets: HOME, LOGNAME, PATH, SHELL, TERM and USER; on Windows
    /// APPDATA, HOMEDRIVE, HOMEPATH, LOCALAPPDATA, PATH, `PROCESSOR_ARCHITECTURE`, SYSTEMDRIVE,
    /// SYSTEMROOT, TEMP, USERNAME and USERPROFILE.
    #[default]
    Clean,
    /// None at all.
    Only,
    /// All of them, whatever secrets they hold.
    Inherit,
}

#[cfg(not(windows))]
pub(super) const CLEAN: &[&str] = &["HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER"];
#[cfg(windows)]
pub(super) const CLEAN: &[&str] = &[
    "APPDATA",
    "HOMEDRIVE",
    "HOMEPATH",
    "LOCALAPPDATA",
    "PATH",
    "PROCESSOR_ARCHITECTURE",
    "SYSTEMDRIVE",
    "SYSTEMROOT",
    "TEMP",
    "USERNAME",
    "USERPROFILE",
];

impl EnvPolicy {
    /// The variables of this process that the policy lets through.
    pub(super) fn ambient(self) -> Box<dyn Iterator<Item = (OsString, OsString)>> {
        match self {
            EnvPolicy::Only => Box::new(std::iter::empty()),
            EnvPolicy::Inherit => Box::new(std::env::vars_os()),
            EnvPolicy::Clean => Box::new(CLEAN.iter().filter_map(|name| {
                let value = std::env::var_os(name).filter(|value| !is_function(value))?;
                Some((OsString::from(name), value))
            })),
        }
    }
}

/// A shell function in disguise, which an old `bash` would run.
fn is_function(value: &OsStr) -> bool {
    value.as_encoded_bytes().starts_with(b"()")
}
