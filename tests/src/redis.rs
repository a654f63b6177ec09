//! Redis or Valkey, the real program, started for one test.
//!
//! A server listens on loopback, on a free port, in a folder of its own that goes with it; keeps
//! nothing on disk unless told to; answers before the constructor returns; is killed when the value is
//! dropped, and when the test's process dies. `cargo xtask servers` sees to it that the program is
//! there; without it everything here panics with that advice. A test that uses one lives in a binary
//! or a module called `real…`.

mod ask;
mod proxy;
mod tether;

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

pub use proxy::{Proxy, Weather};

use self::ask::ask;
use self::tether::Tether;
use crate::report::or_fail;

/// A start on a busy machine of two cores.
const START: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(10);
/// Another program may take the port between finding it free and using it.
const TRIES: usize = 5;

/// How a server is started.
#[derive(Clone, Debug, Default)]
pub struct RedisOptions {
    password: Option<String>,
    user: Option<(String, String)>,
    tls: Option<(PathBuf, PathBuf)>,
    durable: bool,
    cluster: bool,
    more: Vec<String>,
}

impl RedisOptions {
    /// Nothing kept on disk, no password, no TLS.
    pub fn new() -> Self {
        Self::default()
    }

    /// The password of the default user.
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// An ACL user beside the default one, by its password and its rules, such as
    /// `~mcp:* &mcp:* +@all`.
    pub fn user(mut self, name: &str, password: &str, rules: &str) -> Self {
        self.user = Some((name.to_owned(), format!(">{password} {rules}")));
        self
    }

    /// Listens with TLS as well, on a port of its own, with this certificate and key (PEM files).
    pub fn tls(mut self, certificate: &Path, key: &Path) -> Self {
        self.tls = Some((certificate.to_owned(), key.to_owned()));
        self
    }

    /// Keeps everything on disk before it answers.
    pub fn durable(mut self) -> Self {
        self.durable = true;
        self
    }

    /// One node that is a whole cluster.
    pub fn cluster(mut self) -> Self {
        self.cluster = true;
        self
    }

    /// Any other arguments.
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.more.extend(arguments.iter().map(|&it| it.to_owned()));
        self
    }

    /// Starts it.
    ///
    /// # Panics
    /// When the program is missing or does not start.
    #[track_caller]
    pub fn start(self) -> RedisServer {
        or_fail(RedisServer::begin(self))
    }
}

/// A running server.
#[derive(Debug)]
pub struct RedisServer {
    options: RedisOptions,
    folder: tempfile::TempDir,
    port: u16,
    tls_port: u16,
    process: Option<Tether>,
}

impl RedisServer {
    /// A server with nothing special.
    ///
    /// # Panics
    /// When the program is missing or does not start.
    #[track_caller]
    pub fn start() -> Self {
        RedisOptions::new().start()
    }

    fn begin(options: RedisOptions) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut server = Self {
            options,
            folder,
            port: 0,
            tls_port: 0,
            process: None,
        };
        for left in (0..TRIES).rev() {
            server.port = free_port()?;
            server.tls_port = free_port()?;
            match server.launch() {
                Ok(()) => break,
                Err(error) if left == 0 => return Err(error),
                Err(_) => {}
            }
        }
        if server.options.cluster {
            server.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
            server.wait_until("cluster_state:ok", &["CLUSTER", "INFO"])?;
        }
        Ok(server)
    }

    /// Whether the program is there to be started.
    pub fn is_installed() -> bool {
        program("server").is_ok()
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it listens with TLS.
    pub fn tls_port(&self) -> u16 {
        self.tls_port
    }

    /// The address, without user and password.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Ends it at once, as a crash would (SIGKILL). What it had not written to disk is gone.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again, on the same port and with the same folder, after [`kill`](Self::kill).
    ///
    /// # Panics
    /// When it does not start.
    #[track_caller]
    pub fn restart(&mut self) {
        self.kill();
        or_fail(self.launch());
    }

    /// The password of the default user from the next start on.
    pub fn change_password(&mut self, password: &str) {
        self.options.password = Some(password.to_owned());
    }

    /// Stops it where it stands (SIGSTOP): connections stay, and nothing is answered.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal("CONT");
    }

    /// Runs a command as the default user, and gives the answer as text, a line for each part.
    ///
    /// # Panics
    /// When there is no answer.
    #[track_caller]
    pub fn command(&self, parts: &[&str]) -> String {
        or_fail(ask(self.address(), self.options.password.as_deref(), parts))
    }

    /// How often clients have called each command since the start, but for those that connections
    /// begin and are looked after with; in the order of their names.
    ///
    /// # Panics
    /// When there is no answer.
    #[track_caller]
    pub fn calls(&self) -> Vec<(String, u64)> {
        let upkeep = [
            "auth",
            "client|setinfo",
            "config|resetstat",
            "hello",
            "info",
            "ping",
            "select",
            "subscribe",
            "unsubscribe",
        ];
        let stats = self.command(&["INFO", "commandstats"]);
        let mut calls: Vec<(String, u64)> = stats
            .lines()
            .filter_map(|line| {
                let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
                let count = rest.split(',').next()?.parse().ok()?;
                Some((name.to_owned(), count))
            })
            .filter(|(name, _)| !upkeep.contains(&name.as_str()))
            .collect();
        calls.sort();
        calls
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    fn signal(&self, name: &str) {
        if let Some(process) = &self.process {
            process.signal(name);
        }
    }

    fn launch(&mut self) -> Result<()> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let mut arguments: Vec<String> = [
            "--bind",
            "127.0.0.1",
            "--daemonize",
            "no",
            "--save",
            "",
            "--loglevel",
            "warning",
        ]
        .map(str::to_owned)
        .into();
        let mut add = |more: &[&str]| arguments.extend(more.iter().map(|&it| it.to_owned()));
        add(&["--port", &self.port.to_string()]);
        add(&["--dir", &text(self.folder.path())]);
        if self.options.durable {
            add(&["--appendonly", "yes", "--appendfsync", "always"]);
        } else {
            add(&["--appendonly", "no"]);
        }
        if let Some(password) = &self.options.password {
            add(&["--requirepass", password]);
        }
        if let Some((name, rules)) = &self.options.user {
            add(&["--user", name, "on"]);
            add(&rules.split(' ').collect::<Vec<_>>());
        }
        if let Some((certificate, key)) = &self.options.tls {
            add(&["--tls-port", &self.tls_port.to_string()]);
            add(&["--tls-cert-file", &text(certificate)]);
            add(&["--tls-key-file", &text(key), "--tls-auth-clients", "no"]);
        }
        if self.options.cluster {
            add(&[
                "--cluster-enabled",
                "yes",
                "--cluster-config-file",
                "nodes.conf",
            ]);
        }
        arguments.extend(self.options.more.iter().cloned());
        let program = program("server")?;
        self.process = Some(Tether::start(&program, &arguments)?);
        self.answers()
    }

    /// Waits until it serves.
    fn answers(&mut self) -> Result<()> {
        let password = self.options.password.clone();
        let address = self.address();
        self.look("it does not answer", || {
            ask(address, password.as_deref(), &["PING"]).is_ok_and(|answer| answer == "PONG")
        })
    }

    fn wait_until(&mut self, text: &str, command: &[&str]) -> Result<()> {
        let (address, password) = (self.address(), self.options.password.clone());
        self.look(text, || {
            ask(address, password.as_deref(), command).is_ok_and(|answer| answer.contains(text))
        })
    }

    fn look(&mut self, what: &str, mut so: impl FnMut() -> bool) -> Result<()> {
        let process = self.process.as_mut().context("it has not been started")?;
        process.look(what, START, &mut so)
    }
}

/// A Redis Sentinel over one server.
#[derive(Debug)]
pub struct RedisSentinel {
    _process: Tether,
    _folder: tempfile::TempDir,
    port: u16,
}

impl RedisSentinel {
    /// Starts a sentinel that knows the server as the primary of this service.
    ///
    /// # Panics
    /// When the program is missing or does not start.
    #[track_caller]
    pub fn start(server: &RedisServer, service: &str) -> Self {
        or_fail(Self::begin(server, service))
    }

    fn begin(server: &RedisServer, service: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = free_port()?;
        let mut settings = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor {service} 127.0.0.1 {} 1\n",
            folder.path().display(),
            server.port,
        );
        if let Some(password) = &server.options.password {
            writeln!(settings, "sentinel auth-pass {service} {password}")?;
        }
        let file = folder.path().join("sentinel.conf");
        std::fs::write(&file, settings)?;
        let arguments = [file.to_string_lossy().into_owned(), "--sentinel".to_owned()];
        let mut process = Tether::start(&program("server")?, &arguments)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        process.look("it does not answer", START, &mut || {
            ask(address, None, &["PING"]).is_ok_and(|answer| answer == "PONG")
        })?;
        Ok(Self {
            _process: process,
            _folder: folder,
            port,
        })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// Valkey where there is one, Redis otherwise. `MCP_TEST_REDIS_SERVER` names another program.
fn program(kind: &str) -> Result<String> {
    if let Ok(named) = std::env::var("MCP_TEST_REDIS_SERVER") {
        return Ok(named);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    for name in [format!("valkey-{kind}"), format!("redis-{kind}")] {
        if std::env::split_paths(&path).any(|folder| folder.join(&name).is_file()) {
            return Ok(name);
        }
    }
    bail!("this test needs Redis or Valkey: run `cargo xtask servers` first")
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, START)?;
    stream.set_read_timeout(Some(START))?;
    Ok(stream)
}
