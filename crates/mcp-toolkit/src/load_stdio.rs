//! Tools of a server that runs as a child process.

use std::fmt;
use std::future::IntoFuture;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mcp_adapter::ToolSet;
use mcp_auth::{CredentialError, CredentialRequest, Credentials, ExposeSecret, Fingerprint};
use mcp_core::{BoxFuture, Error, ProtocolVersion, ServerId, ToolServer};
use mcp_stdio::{EnvValue, StdioServer, StdioServerBuilder};

use crate::loading::{Settings, shared_settings};

/// A change of what the transport is set up with.
type Change = Box<dyn FnOnce(StdioServerBuilder) -> StdioServerBuilder + Send + Sync>;

/// Loads the tools of a server that is started as a child process. Say with what, then `.await`.
///
/// ```no_run
/// use mcp_toolkit::load_mcp_tools_stdio;
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let tools = load_mcp_tools_stdio("npx")
///     .args(["-y", "@modelcontextprotocol/server-github"])
///     .env("GITHUB_PERSONAL_ACCESS_TOKEN", std::env::var("GH_TOKEN")?)
///     .await?;
/// # Ok(())
/// # }
/// ```
///
/// The child gets `HOME LOGNAME PATH SHELL TERM USER` (on Windows their peers) and what is named
/// here. It ends when the last clone of its tools is dropped.
pub fn load_mcp_tools_stdio(command: impl Into<String>) -> StdioLoader {
    StdioLoader {
        command: command.into(),
        settings: Settings::new(),
        arguments: Vec::new(),
        environment: Vec::new(),
        passed: Vec::new(),
        inherit: false,
        allowed: Vec::new(),
        directory: None,
        protocol: None,
        max_children: None,
        changes: Vec::new(),
    }
}

/// What [`load_mcp_tools_stdio`] starts, and with what. Awaiting it starts and loads.
///
/// | to say | call | default |
/// |---|---|---|
/// | what is run | [`args`](Self::args), [`literal_args`](Self::literal_args), [`cwd`](Self::cwd) | no arguments, this process's directory |
/// | what it sees | [`env`](Self::env), [`env_from`](Self::env_from), [`inherit_env`](Self::inherit_env), [`allow_unsafe_env`](Self::allow_unsafe_env) | a short list without secrets |
/// | for whom | [`principal`](Self::principal) | user `local` |
/// | under which name | [`named`](Self::named) | the program's, with a fingerprint of the rest |
/// | which tools | [`enabled`](Self::enabled), [`disabled`](Self::disabled), [`pinned`](Self::pinned), [`prefix`](Self::prefix) | all, unpinned, no prefix |
/// | around each call | [`middleware`](Self::middleware) | nothing |
/// | kept where | [`cache`](Self::cache) | nowhere: each load starts a child |
/// | how long, how much | [`timeout`](Self::timeout), [`limits`](Self::limits) | 30 s, [`Limits::default`](mcp_core::Limits) |
/// | how many | [`max_children`](Self::max_children) | 64 processes, over all principals |
/// | the child's life | [`protocol`](Self::protocol), [`with_server`](Self::with_server) | restarted after a crash, stopped after 30 idle minutes |
///
/// # Errors
/// A program that is not there, a variable that is not set, a directory that does not exist: each
/// is told when the loader is awaited. A child that ends at once is told with its exit status and
/// the end of its standard error, secrets replaced.
///
/// # Cancellation
/// Dropping the future ends a child that it has started.
pub struct StdioLoader {
    command: String,
    pub(crate) settings: Settings,
    /// With whether the text is meant as it is.
    arguments: Vec<(String, bool)>,
    pub(crate) environment: Vec<(String, EnvValue)>,
    passed: Vec<String>,
    inherit: bool,
    allowed: Vec<String>,
    directory: Option<PathBuf>,
    protocol: Option<ProtocolVersion>,
    max_children: Option<usize>,
    changes: Vec<Change>,
}

impl StdioLoader {
    shared_settings!();

    /// Arguments, as they are: no shell looks at them. Every user of the machine can read them, so
    /// a secret belongs into [`env`](Self::env).
    pub fn args<A: Into<String>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        let arguments = arguments.into_iter().map(|text| (text.into(), false));
        self.arguments.extend(arguments);
        self
    }

    /// Arguments in which a `${VAR}` is for the program to look at, such as a shell. In
    /// [`args`](Self::args) it is refused, because it looks like a secret that should be put there.
    pub fn literal_args<A: Into<String>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        let arguments = arguments.into_iter().map(|text| (text.into(), true));
        self.arguments.extend(arguments);
        self
    }

    /// Sets a variable: a value, a [`SecretRef`](mcp_auth::SecretRef) that is resolved when the child
    /// starts, or a provider ([`EnvValue::Credential`]) for each principal's own token. It wins over
    /// an inherited one, in whatever order they are given. Where the value
    /// behind a reference (looked at every 30 s) or of a provider has changed, the child is replaced
    /// at its next use.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<EnvValue>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Passes variables of this process on, by name. One that is not set is an error.
    pub fn env_from<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.passed.extend(names.into_iter().map(Into::into));
        self
    }

    /// Passes on the whole environment of this process, whatever is in it.
    pub fn inherit_env(mut self) -> Self {
        self.inherit = true;
        self
    }

    /// Lets these variables through although they make a loader or an interpreter run other code,
    /// such as `LD_PRELOAD` and `NODE_OPTIONS`.
    pub fn allow_unsafe_env<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.allowed.extend(names.into_iter().map(Into::into));
        self
    }

    /// Where the child runs, such as where it finds its files of credentials. Must exist. Default:
    /// where this process runs.
    pub fn cwd(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// The one protocol version to speak. Default: the newest that both sides know.
    pub fn protocol(mut self, version: ProtocolVersion) -> Self {
        self.protocol = Some(version);
        self
    }

    /// How many processes of this server there may be at once, over all principals: each has a child
    /// of its own. One more takes the place of the child that was idle longest; where none is idle it
    /// waits for its turn, as long as a start may take. Whoever waited in vain is told the limit
    /// `max_children` ([`Failure::LimitExceeded`](mcp_core::Failure)), and nothing of theirs was run.
    /// Default 64.
    ///
    /// It counts in a [`McpToolkit`](crate::McpToolkit), whose server all principals share; a loader
    /// that is awaited has one principal, and one child.
    pub fn max_children(mut self, count: usize) -> Self {
        self.max_children = Some(count);
        self
    }

    /// Sets what the transport can do and this loader has no word for: who hears the child's standard
    /// error ([`on_stderr`](StdioServerBuilder::on_stderr)), what happens after a crash
    /// ([`restart`](StdioServerBuilder::restart)), how long it is kept idle
    /// ([`idle_timeout`](StdioServerBuilder::idle_timeout)). The name stays this loader's; give variables here, not there, where a cache has to tell them apart.
    ///
    /// ```
    /// # use mcp_toolkit::load_mcp_tools_stdio;
    /// let loader = load_mcp_tools_stdio("files-mcp")
    ///     .with_server(|server| server.on_stderr(|_, line| eprintln!("files-mcp: {line}")));
    /// ```
    pub fn with_server(
        mut self,
        change: impl FnOnce(StdioServerBuilder) -> StdioServerBuilder + Send + Sync + 'static,
    ) -> Self {
        self.changes.push(Box::new(change));
        self
    }

    /// The server.
    pub(crate) fn open(&mut self) -> Result<StdioServer, Error> {
        self.settings.checked()?;
        let mut server = StdioServer::builder(&self.command)
            .env_from(&self.passed)
            .allow_unsafe_env(&self.allowed)
            .limits(self.settings.limits());
        for (text, literal) in &self.arguments {
            server = match literal {
                true => server.literal_args([text]),
                false => server.args([text]),
            };
        }
        for (name, value) in &self.environment {
            server = server.env(name, value.clone());
        }
        if self.inherit {
            server = server.inherit_env();
        }
        if let Some(directory) = &self.directory {
            server = server.cwd(directory);
        }
        if let Some(version) = self.protocol {
            server = server.protocol(version);
        }
        if let Some(count) = self.max_children {
            server = server.max_children(count);
        }
        for change in std::mem::take(&mut self.changes) {
            server = change(server);
        }
        let id = match self.settings.id.take() {
            Some(id) => id,
            None => self.default_id()?,
        };
        let server = server.id(id.clone()).build();
        server.map_err(|error| error.at_server(&id))
    }

    async fn load(mut self) -> Result<ToolSet, Error> {
        let server = self.open()?;
        let id = server.id().clone();
        let credentials = self.credentials(&id);
        // Boxed: what keeps a child and fills a cache is large.
        Box::pin(self.settings.load(Arc::new(server), credentials)).await
    }

    /// The program's name. What tells two servers of the same program apart may be secret: it is
    /// there as a fingerprint.
    fn default_id(&self) -> Result<ServerId, Error> {
        let program = Path::new(&self.command)
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy();
        let rest = self.arguments.iter().map(|(text, _)| text.as_bytes());
        let directory = self
            .directory
            .iter()
            .map(|path| path.as_os_str().as_encoded_bytes());
        let rest = [self.command.as_bytes()]
            .into_iter()
            .chain(directory)
            .chain(rest);
        Ok(ServerId::new(format!(
            "{program}#{}",
            Fingerprint::of(rest)
        ))?)
    }

    /// What the child is given, as credentials that travel beside the headers.
    async fn credentials(&self, server: &ServerId) -> Result<Credentials, Error> {
        let mut credentials = Credentials::builder();
        for (name, value) in &self.environment {
            let secret = match value {
                EnvValue::Credential(provider) => {
                    let request = CredentialRequest::new(server, &self.settings.principal);
                    let own = provider.credentials(request).await?;
                    if let Some(end) = own.expires_at() {
                        credentials = credentials.expires_at(end);
                    }
                    own.fingerprint()
                }
                EnvValue::Secret(reference) => {
                    let secret = reference.resolve().await.map_err(CredentialError::from)?;
                    Fingerprint::of([name.as_bytes(), secret.expose_secret().as_bytes()])
                }
                _ => return Err(Error::config(format!("`{name}` cannot be part of a key"))),
            };
            credentials = credentials.beside(&secret);
        }
        Ok(credentials.build()?)
    }
}

impl IntoFuture for StdioLoader {
    type Output = Result<ToolSet, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.load())
    }
}

/// Shows names, no values; arguments are shown by number, because people put secrets there.
impl fmt::Debug for StdioLoader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self
            .environment
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        f.debug_struct("StdioLoader")
            .field("command", &self.command)
            .field("settings", &self.settings)
            .field("arguments", &self.arguments.len())
            .field("environment", &names)
            .field("passed", &self.passed)
            .field("inherit", &self.inherit)
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}
