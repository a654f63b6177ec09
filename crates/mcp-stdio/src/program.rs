//! Finding the program and starting it.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use mcp_core::{Error, Failure};
use process_wrap::tokio::{ChildWrapper, CommandWrap, KillOnDrop};

use crate::environment::Resolved;
use crate::{parent_death, spawner};

/// What to start. Arguments and values never appear in errors: they may hold what they should not.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) command: String,
    pub(crate) directory: Option<PathBuf>,
}

/// The program of a stdio server is nowhere to be found.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the program `{program}` was not found {place}")]
#[non_exhaustive]
pub struct ProgramNotFound {
    /// As it was asked for.
    pub program: String,
    place: &'static str,
}

impl Program {
    /// Starts it in a process group (a job on Windows) of its own, with nothing but this
    /// environment, bound to the life of this process where the system can do that. No shell is
    /// involved.
    pub(crate) async fn start(
        &self,
        arguments: &[String],
        environment: &Resolved,
    ) -> Result<Box<dyn ChildWrapper>, Error> {
        if let Some(directory) = self.directory.as_ref().filter(|path| !path.is_dir()) {
            return Err(Error::config(format!(
                "the working directory `{}` does not exist",
                directory.display()
            )));
        }
        let path = self.find(environment)?;
        let mut command = CommandWrap::with_new(path, |command| {
            command
                .args(arguments)
                .env_clear()
                .envs(&environment.variables)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            if let Some(directory) = &self.directory {
                command.current_dir(directory);
            }
            parent_death::bind(command);
        });
        #[cfg(unix)]
        command.wrap(process_wrap::tokio::ProcessGroup::leader());
        #[cfg(windows)]
        command.wrap(process_wrap::tokio::JobObject);
        command.wrap(KillOnDrop);
        spawner::spawn(command)
            .await
            .map_err(|error| self.failed(error))
    }

    /// Where it is: on the `PATH` that the child will have, or below its working directory.
    fn find(&self, environment: &Resolved) -> Result<PathBuf, Error> {
        let here = std::env::current_dir().map_err(|error| self.failed(error))?;
        let directory = self
            .directory
            .as_deref()
            .map_or(here.clone(), |path| here.join(path));
        let on_path = Path::new(&self.command).components().count() == 1;
        let path = environment.variables.get(OsStr::new("PATH"));
        which::which_in(&self.command, path, directory).map_err(|_| {
            let place = if on_path { "on PATH" } else { "there" };
            let missing = ProgramNotFound {
                program: self.command.clone(),
                place,
            };
            Failure::Connect {
                peer: format!("the program `{}` (not found {place})", self.command),
                source: Some(Arc::new(missing)),
            }
            .into()
        })
    }

    fn failed(&self, error: io::Error) -> Error {
        Failure::Connect {
            peer: format!("the program `{}`", self.command),
            source: Some(Arc::new(error)),
        }
        .into()
    }
}
