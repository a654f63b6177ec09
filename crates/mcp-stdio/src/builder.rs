//! How a server is described.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mcp_auth::{Principal, SecretRef, SecretScope};
use mcp_core::duplex::{InputHandler, Settings};
use mcp_core::wire::ClientIdentity;
use mcp_core::{Error, Limits, ProtocolVersion, ServerId};
use tokio::sync::watch;

use crate::connection::StderrHandler;
use crate::environment::Environment;
use crate::places::Places;
use crate::pool::{Plan, Pool};
use crate::program::Program;
use crate::supervise::Care;
use crate::{EnvPolicy, EnvValue, Restart, StdioServer};

const DEFAULT_MAX_CHILDREN: usize = 64;
const DEFAULT_IDLE: Duration = Duration::from_secs(30 * 60);
const DEFAULT_RECHECK: Duration = Duration::from_secs(30);
const DEFAULT_TERMINATE: Duration = Duration::from_secs(2);

/// Describes a [`StdioServer`]. Nothing is started before its first use.
#[must_use]
pub struct StdioServerBuilder {
    id: Option<ServerId>,
    program: Program,
    /// With whether the text is meant as it is.
    arguments: Vec<(String, bool)>,
    secrets_in_arguments: bool,
    environment: Environment,
    settings: Settings,
    restart: Restart,
    max_children: usize,
    recheck: Duration,
    idle: Option<Duration>,
    terminate: Duration,
    on_stderr: Option<Arc<StderrHandler>>,
}

impl StdioServerBuilder {
    pub(crate) fn new(command: String) -> Self {
        Self {
            id: None,
            program: Program {
                command,
                directory: None,
            },
            arguments: Vec::new(),
            secrets_in_arguments: false,
            environment: Environment::default(),
            settings: Settings::default(),
            restart: Restart::default(),
            max_children: DEFAULT_MAX_CHILDREN,
            recheck: DEFAULT_RECHECK,
            idle: Some(DEFAULT_IDLE),
            terminate: DEFAULT_TERMINATE,
            on_stderr: None,
        }
    }

    /// The server's name here. By default that of the program.
    pub fn id(mut self, id: ServerId) -> Self {
        self.id = Some(id);
        self
    }

    /// Adds arguments. Every user of the machine can read them: a secret goes into
    /// [`env`](Self::env).
    pub fn args<A: Into<String>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        let arguments = arguments.into_iter().map(|text| (text.into(), false));
        self.arguments.extend(arguments);
        self
    }

    /// Adds arguments that are meant as they are: a `${VAR}` in them is for the program to look at,
    /// such as a shell.
    pub fn literal_args<A: Into<String>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        let arguments = arguments.into_iter().map(|text| (text.into(), true));
        self.arguments.extend(arguments);
        self
    }

    /// Replaces `${VAR}` in arguments, which is refused otherwise, because every user of the machine
    /// can then read the value.
    pub fn allow_secrets_in_args(mut self) -> Self {
        self.secrets_in_arguments = true;
        self
    }

    /// Sets a variable of the child. It wins over whatever else has the name.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<EnvValue>) -> Self {
        self.environment.named.push((name.into(), value.into()));
        self
    }

    /// Passes variables of this process on, by name. They must be set when a child is started.
    pub fn env_from<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        let names = names.into_iter().map(Into::into);
        self.environment.passed.extend(names);
        self
    }

    /// Gives the child every variable of this process, its secrets included.
    pub fn inherit_env(self) -> Self {
        self.env_policy(EnvPolicy::Inherit)
    }

    /// Which variables of this process the child gets besides the named ones. Default
    /// [`EnvPolicy::Clean`].
    pub fn env_policy(mut self, policy: EnvPolicy) -> Self {
        self.environment.policy = policy;
        self
    }

    /// Allows naming variables that make a loader or an interpreter run other code, such as
    /// `NODE_OPTIONS` or `LD_PRELOAD`.
    pub fn allow_unsafe_env<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        let names = names.into_iter().map(Into::into);
        self.environment.allowed.extend(names);
        self
    }

    /// Where references to secrets find variables and files. Default the process's surroundings.
    pub fn secret_scope(mut self, scope: SecretScope) -> Self {
        self.environment.scope = scope;
        self
    }

    /// The child's working directory, which must exist. Default this process's.
    pub fn cwd(mut self, directory: impl Into<PathBuf>) -> Self {
        self.program.directory = Some(directory.into());
        self
    }

    /// The bounds.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.settings.limits = limits;
        self
    }

    /// Speaks this version and no other. By default the newest that both sides know.
    pub fn protocol(mut self, version: ProtocolVersion) -> Self {
        self.settings.protocol = Some(version);
        self
    }

    /// Who the client says it is.
    pub fn client(mut self, client: ClientIdentity) -> Self {
        self.settings.client = client;
        self
    }

    /// Answers what a tool asks back in the middle of a call.
    pub fn input(mut self, handler: Arc<dyn InputHandler>) -> Self {
        self.settings.input = Some(handler);
        self
    }

    /// What happens after a crash.
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// How many processes of this server there may be at once, over all principals; one that was told
    /// to leave counts until it is gone. Default 64; 0 is taken as 1.
    ///
    /// Whoever needs one more takes the place of the one that was used longest ago among those that
    /// nobody uses at the moment. Where all are in use, he waits for his turn, in the order of coming,
    /// for as long as a start may take ([`Limits::startup_timeout`]) and his own deadline allows; then
    /// the error is [`Failure::LimitExceeded`](mcp_core::Failure) with the limit `max_children`, and
    /// nothing of his was run.
    pub fn max_children(mut self, count: usize) -> Self {
        self.max_children = count;
        self
    }

    /// How long the values behind secret references (variables, files, commands) are taken to be what
    /// they were when a child was started. Looked at again at the next use; when one has changed, the
    /// child is replaced as for a rotated credential. Default 30 s.
    pub fn recheck_secrets(mut self, after: Duration) -> Self {
        self.recheck = after;
        self
    }

    /// A child that nobody used for so long is stopped; `None` is never. Default 30 min.
    pub fn idle_timeout(mut self, idle: Option<Duration>) -> Self {
        self.idle = idle;
        self
    }

    /// How long a child may take to leave once it was asked to terminate, before it is killed.
    /// Before that it has [`Limits::close_timeout`] to notice that its input is closed. Default 2 s.
    pub fn terminate_grace(mut self, grace: Duration) -> Self {
        self.terminate = grace;
        self
    }

    /// Hears each line of a child's standard error, secrets replaced, cut at 16 KiB. Runs in the
    /// task that serves the child: it must not block.
    pub fn on_stderr(mut self, handler: impl Fn(&Principal, &str) + Send + Sync + 'static) -> Self {
        self.on_stderr = Some(Arc::new(handler));
        self
    }

    /// The server.
    ///
    /// # Errors
    /// [`Failure::Config`](mcp_core::Failure) for a program, argument or variable that cannot be
    /// used: empty, with a NUL, a variable that runs other code, a secret in an argument.
    pub fn build(self) -> Result<StdioServer, Error> {
        self.environment.check()?;
        let command = &self.program.command;
        if command.is_empty() || command.contains('\0') {
            return Err(Error::config("the program has no usable name"));
        }
        let id = match self.id {
            Some(id) => id,
            None => ServerId::new(stem(command))?,
        };
        let arguments = self
            .arguments
            .into_iter()
            .enumerate()
            .map(|(index, (text, literal))| {
                argument(index + 1, text, literal, self.secrets_in_arguments)
            })
            .collect::<Result<_, _>>()?;
        let care = Care {
            idle: self.idle,
            close: self.settings.limits.close_timeout,
            terminate: self.terminate,
            on_stderr: self.on_stderr,
            changes: watch::Sender::new(0),
        };
        Ok(StdioServer::new(Pool::new(Plan {
            id,
            program: self.program,
            arguments,
            environment: self.environment,
            settings: self.settings,
            restart: self.restart,
            places: Places::new(self.max_children),
            recheck: self.recheck,
            care,
        })))
    }
}

fn argument(
    number: usize,
    text: String,
    literal: bool,
    secrets_allowed: bool,
) -> Result<SecretRef, Error> {
    if text.contains('\0') {
        return Err(Error::config(format!("argument {number} holds a NUL")));
    }
    if literal {
        return Ok(SecretRef::literal(text));
    }
    match SecretRef::template(text.as_str()) {
        Ok(reference) if reference.is_literal() || secrets_allowed => Ok(reference),
        Ok(_) => Err(Error::config(format!(
            "argument {number} refers to a variable, and every user of the machine could read its \
             value; use the environment, or allow it"
        ))),
        // No reference after all.
        Err(_) => Ok(SecretRef::literal(text)),
    }
}

fn stem(command: &str) -> &str {
    let stem = Path::new(command).file_stem();
    stem.and_then(|stem| stem.to_str()).unwrap_or(command)
}

impl fmt::Debug for StdioServerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StdioServerBuilder")
            .field("id", &self.id)
            .field("command", &self.program.command)
            .field("arguments", &self.arguments.len())
            .field("environment", &self.environment)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_stay_out_of_arguments() {
        let server = || StdioServer::builder("x").args(["--token", "${TOKEN}", "${"]);
        let error = server().build().unwrap_err().to_string();
        assert!(error.contains("argument 2"), "{error}");
        server().allow_secrets_in_args().build().unwrap();
        let shell = StdioServer::builder("sh").literal_args(["-c", "echo ${HOME}"]);
        shell.build().unwrap();
    }

    #[test]
    fn what_cannot_be_started_is_refused_early() {
        assert!(StdioServer::builder("").build().is_err());
        assert!(StdioServer::builder("a\0b").build().is_err());
        assert!(StdioServer::builder("a").args(["\0"]).build().is_err());
        assert!(
            StdioServer::builder("a")
                .env("LD_PRELOAD", "x")
                .build()
                .is_err()
        );
    }

    #[test]
    fn nothing_secret_is_printed() {
        let builder = StdioServer::builder("/usr/bin/tool")
            .args(["canary-argument"])
            .env("TOKEN", "canary-token");
        let printed = format!("{builder:?}");
        assert!(
            !printed.contains("canary") && printed.contains("TOKEN"),
            "{printed}"
        );
        let server = builder.build().unwrap();
        assert_eq!(mcp_core::ToolServer::id(&server).as_str(), "tool");
        assert!(!format!("{server:?}").contains("canary"));
    }
}
