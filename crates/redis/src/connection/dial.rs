//! Making a connection: who serves at the moment, TCP, TLS, login.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mcp_core::auth::ExposeSecret as _;
use redis::aio::{AsyncPushSender, MultiplexedConnection};
use redis::{AsyncConnectionConfig, Cmd, ProtocolVersion, RedisConnectionInfo, Value};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

#[cfg(feature = "tls")]
use super::tls::Tls;
use crate::config::{Address, Login, Topology};
use crate::{RedisConfig, RedisError};

/// Makes connections by the settings.
pub(super) struct Dialer {
    pub(super) config: Arc<RedisConfig>,
    /// Which of several addresses to try first.
    next: AtomicUsize,
    #[cfg(feature = "tls")]
    tls: Tls,
}

/// A connection, and the task that drives it.
pub(super) enum Link {
    Server {
        connection: MultiplexedConnection,
        driver: AbortOnDrop,
    },
    /// Mends its connections to the nodes by itself.
    #[cfg(feature = "cluster")]
    Cluster(redis::cluster_async::ClusterConnection),
}

/// A task that ends with its owner.
pub(super) struct AbortOnDrop(JoinHandle<()>);

impl AbortOnDrop {
    pub(super) fn new(task: JoinHandle<()>) -> Self {
        Self(task)
    }

    pub(super) fn is_running(&self) -> bool {
        !self.0.is_finished()
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Link {
    pub(super) async fn ask(&self, command: &Cmd) -> redis::RedisResult<Value> {
        match self {
            Self::Server { connection, .. } => command.query_async(&mut connection.clone()).await,
            #[cfg(feature = "cluster")]
            Self::Cluster(connection) => command.query_async(&mut connection.clone()).await,
        }
    }

    /// Whether the other side has not closed it, as far as is known.
    pub(super) fn is_open(&self) -> bool {
        match self {
            Self::Server { driver, .. } => driver.is_running(),
            #[cfg(feature = "cluster")]
            Self::Cluster(_) => true,
        }
    }
}

impl Dialer {
    pub(super) fn new(config: Arc<RedisConfig>) -> Result<Self, RedisError> {
        Ok(Self {
            #[cfg(feature = "tls")]
            tls: Tls::new(&config)?,
            next: AtomicUsize::new(0),
            config,
        })
    }

    /// A connection for requests, to whoever takes writes.
    pub(super) async fn dial(&self) -> Result<Link, RedisError> {
        match &self.config.topology {
            #[cfg(feature = "cluster")]
            Topology::Cluster(nodes) => self.cluster(nodes).await,
            _ => self.subscriber(None).await,
        }
    }

    /// A connection to one server, which hands what is published to the listener. In a cluster every
    /// node hears what is published at any.
    pub(super) async fn subscriber(
        &self,
        listener: Option<Arc<dyn AsyncPushSender>>,
    ) -> Result<Link, RedisError> {
        match &self.config.topology {
            Topology::Single(address) => self.server(address, listener).await,
            Topology::Cluster(nodes) => {
                let tried = self.first_of(nodes, |node| self.server(node, listener.clone()));
                tried.await
            }
            Topology::Sentinel { sentinels, service } => {
                let tried = self.first_of(sentinels, |sentinel| {
                    self.through(sentinel, service, listener.clone())
                });
                tried.await
            }
        }
    }

    /// What the first address gives that gives anything, beginning with the one that did last.
    async fn first_of<'a, F>(
        &self,
        addresses: &'a [Address],
        each: impl Fn(&'a Address) -> F,
    ) -> Result<Link, RedisError>
    where
        F: Future<Output = Result<Link, RedisError>>,
    {
        let begin = self.next.load(Ordering::Relaxed);
        let mut refusal = None;
        for tried in 0..addresses.len() {
            let at = begin.wrapping_add(tried) % addresses.len();
            // Before trying it: whoever gives up waiting here leaves the rest to the next.
            self.next.store(at + 1, Ordering::Relaxed);
            match each(&addresses[at]).await {
                Ok(link) => {
                    self.next.store(at, Ordering::Relaxed);
                    return Ok(link);
                }
                Err(error) => refusal = Some(error),
            }
        }
        Err(refusal.unwrap_or_else(|| RedisError::config("there is no address of a server")))
    }

    /// A connection to the server that one sentinel names.
    async fn through(
        &self,
        sentinel: &Address,
        service: &str,
        listener: Option<Arc<dyn AsyncPushSender>>,
    ) -> Result<Link, RedisError> {
        let address = self.primary(sentinel, service).await?;
        let link = self.server(&address, listener).await?;
        if !is_primary(&link).await {
            return Err(RedisError::unreachable(
                "the sentinel names a server that takes no writes",
            ));
        }
        Ok(link)
    }

    async fn server(
        &self,
        address: &Address,
        listener: Option<Arc<dyn AsyncPushSender>>,
    ) -> Result<Link, RedisError> {
        let info = self.info(&self.config.login, self.config.database).await?;
        self.open(address, info, listener).await
    }

    /// Who is the primary of the service, in the view of one sentinel.
    async fn primary(&self, sentinel: &Address, service: &str) -> Result<Address, RedisError> {
        let nobody = Login::default();
        let login = self.config.sentinel_login.as_ref().unwrap_or(&nobody);
        let info = self.info(login, 0).await?;
        let link = self.open(sentinel, info, None).await?;
        let mut ask = redis::cmd("SENTINEL");
        ask.arg("GET-MASTER-ADDR-BY-NAME").arg(service);
        let answer = link.ask(&ask).await;
        let answer = answer.map_err(|error| RedisError::told(&error))?;
        let known: Option<(String, u16)> = redis::from_redis_value(answer)
            .map_err(|_| RedisError::unexpected("the sentinel answered something else"))?;
        let (host, port) = known.ok_or_else(|| {
            RedisError::unreachable("the sentinel knows no primary of that service")
        })?;
        Ok(Address::new(host, port))
    }

    async fn info(&self, login: &Login, database: i64) -> Result<RedisConnectionInfo, RedisError> {
        let mut info = RedisConnectionInfo::default()
            .set_protocol(ProtocolVersion::RESP3)
            .set_lib_name("mcp-redis", env!("CARGO_PKG_VERSION"))
            .set_db(database);
        if let Some(user) = &login.user {
            info = info.set_username(user);
        }
        if let Some(password) = &login.password {
            let password = password.resolve().await.map_err(|error| {
                RedisError::config("the password of Redis cannot be read").because(error)
            })?;
            info = info.set_password(password.expose_secret());
        }
        Ok(info)
    }

    async fn open(
        &self,
        address: &Address,
        info: RedisConnectionInfo,
        listener: Option<Arc<dyn AsyncPushSender>>,
    ) -> Result<Link, RedisError> {
        let opening = async {
            let host = (address.host.as_str(), address.port);
            let stream = TcpStream::connect(host).await.map_err(|error| {
                RedisError::unreachable(format!("Redis at {address:?} cannot be reached"))
                    .because(error)
            })?;
            // Requests are small and somebody waits for each.
            let _slower = stream.set_nodelay(true);
            #[cfg(feature = "tls")]
            if self.config.tls {
                let stream = self.tls.connect(address, stream).await?;
                return self.log_in(stream, info, listener).await;
            }
            self.log_in(stream, info, listener).await
        };
        let deadline = self.config.connect_deadline;
        timeout(deadline, opening).await.unwrap_or_else(|_| {
            let late = format!("Redis at {address:?} does not answer in time");
            Err(RedisError::unreachable(late))
        })
    }

    async fn log_in(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        info: RedisConnectionInfo,
        listener: Option<Arc<dyn AsyncPushSender>>,
    ) -> Result<Link, RedisError> {
        let mut settings = AsyncConnectionConfig::new()
            .set_response_timeout(Some(self.config.response_deadline))
            .set_concurrency_limit(self.config.in_flight);
        if let Some(listener) = listener {
            settings = settings.set_push_sender(Listener(listener));
        }
        let made = MultiplexedConnection::new_with_config(&info, stream, settings).await;
        let (connection, driver) = made.map_err(|error| RedisError::told(&error))?;
        Ok(Link::Server {
            connection,
            driver: AbortOnDrop::new(tokio::spawn(driver)),
        })
    }

    #[cfg(feature = "cluster")]
    async fn cluster(&self, nodes: &[Address]) -> Result<Link, RedisError> {
        use redis::cluster::ClusterClientBuilder;
        use redis::{ConnectionAddr, IntoConnectionInfo as _};

        let config = &self.config;
        let mut seeds = Vec::with_capacity(nodes.len());
        for node in nodes {
            let (host, port) = (node.host.clone(), node.port);
            let address = if config.tls {
                ConnectionAddr::TcpTls {
                    host,
                    port,
                    insecure: false,
                    tls_params: None,
                }
            } else {
                ConnectionAddr::Tcp(host, port)
            };
            let info = address.into_connection_info();
            seeds.push(info.map_err(|error| RedisError::told(&error))?);
        }
        let info = self.info(&config.login, 0).await?;
        let mut builder = ClusterClientBuilder::new(seeds)
            .use_protocol(ProtocolVersion::RESP3)
            .retries(3)
            .connection_timeout(config.connect_deadline)
            .response_timeout(config.response_deadline)
            .overall_response_timeout(Some(config.response_deadline))
            .connection_concurrency_limit(config.in_flight);
        if let Some(user) = info.username() {
            builder = builder.username(user);
        }
        if let Some(password) = info.password() {
            builder = builder.password(password);
        }
        #[cfg(feature = "tls")]
        if config.tls {
            builder = self.tls.for_cluster(builder).await?;
        }
        let client = builder.build().map_err(|error| RedisError::told(&error))?;
        let connecting = timeout(config.connect_deadline, client.get_async_connection());
        match connecting.await {
            Ok(Ok(connection)) => Ok(Link::Cluster(connection)),
            Ok(Err(error)) => Err(RedisError::told(&error)),
            Err(_) => Err(RedisError::unreachable(
                "the Redis Cluster does not answer in time",
            )),
        }
    }
}

/// A sentinel may not know yet that the server it names has been demoted.
async fn is_primary(link: &Link) -> bool {
    let role = link.ask(&redis::cmd("ROLE")).await;
    match role {
        Ok(Value::Array(parts)) => matches!(
            parts.first(),
            Some(Value::BulkString(role)) if role.as_slice() == b"master"
        ),
        // A user without the right to ask: the first write will tell.
        Ok(_) | Err(_) => true,
    }
}

struct Listener(Arc<dyn AsyncPushSender>);

impl AsyncPushSender for Listener {
    fn send(&self, info: redis::PushInfo) -> Result<(), redis::aio::SendError> {
        self.0.send(info)
    }
}
