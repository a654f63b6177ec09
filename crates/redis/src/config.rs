//! Where Redis is, as whom to appear there, and every bound of talking to it.

mod url;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mcp_core::auth::{SecretRef, SecretString};

use crate::{Redis, RedisError};

/// The longest prefix.
const MAX_PREFIX: usize = 64;
/// No wait is shorter: nothing would ever be in time.
const MIN_DEADLINE: Duration = Duration::from_millis(10);
/// No wait is longer; the bound keeps points in time from overflowing.
const MAX_DEADLINE: Duration = Duration::from_secs(300);

/// How to reach Redis or Valkey (6.2 or newer), and the bounds of talking to it.
///
/// ```
/// use mcp_redis::RedisConfig;
/// use mcp_core::auth::SecretRef;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = RedisConfig::from_url("redis://agents@redis.internal:6379/0")?
///     .password(SecretRef::env("REDIS_PASSWORD")?)
///     .prefix("agents")?;
/// # Ok(())
/// # }
/// ```
///
/// # Defaults
/// Prefix `mcp`, 2 connections with 256 requests under way on each, 2 seconds to connect and 2 for
/// an answer.
#[derive(Clone)]
pub struct RedisConfig {
    pub(crate) topology: Topology,
    pub(crate) tls: bool,
    pub(crate) database: i64,
    pub(crate) login: Login,
    pub(crate) sentinel_login: Option<Login>,
    pub(crate) prefix: Arc<str>,
    pub(crate) connections: usize,
    pub(crate) in_flight: usize,
    pub(crate) connect_deadline: Duration,
    pub(crate) response_deadline: Duration,
    #[cfg(feature = "tls")]
    pub(crate) roots: Option<Arc<[u8]>>,
}

/// One server, or who knows which one.
#[derive(Clone, Debug)]
pub(crate) enum Topology {
    Single(Address),
    /// Sentinels that know the primary of a service.
    Sentinel {
        sentinels: Vec<Address>,
        service: String,
    },
    /// Some nodes of a Redis Cluster; they know the others.
    Cluster(Vec<Address>),
}

#[derive(Clone, Eq, PartialEq)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// Whom to appear as.
#[derive(Clone, Debug, Default)]
pub(crate) struct Login {
    pub(crate) user: Option<String>,
    pub(crate) password: Option<SecretRef>,
}

impl RedisConfig {
    /// Reads an address:
    ///
    /// * `redis://[user[:password]@]host[:port][/database]`, one server;
    /// * `redis-sentinel://[user[:password]@]host[:port]/service[/database][?node=host:port]…`,
    ///   sentinels;
    /// * `redis-cluster://[user[:password]@]host[:port][?node=host:port]…`, some nodes of a cluster.
    ///
    /// `rediss`, `rediss-sentinel` and `rediss-cluster` are the same over TLS; `valkey…` is the same
    /// as `redis…`. A password is better given by [`password`](Self::password), from a reference.
    ///
    /// # Errors
    /// When the address is malformed, or needs a feature that this build does not have. The address
    /// is not repeated: it may hold a password.
    pub fn from_url(url: &str) -> Result<Self, RedisError> {
        url::read(url)
    }

    /// One server.
    pub fn single(host: impl Into<String>, port: u16) -> Self {
        Self::new(Topology::Single(Address::new(host, port)))
    }

    /// The primary of a service, as these sentinels know it.
    pub fn sentinel(
        sentinels: impl IntoIterator<Item = (impl Into<String>, u16)>,
        service: impl Into<String>,
    ) -> Self {
        Self::new(Topology::Sentinel {
            sentinels: addresses(sentinels),
            service: service.into(),
        })
    }

    /// A cluster that these nodes belong to.
    #[cfg(feature = "cluster")]
    pub fn cluster(nodes: impl IntoIterator<Item = (impl Into<String>, u16)>) -> Self {
        Self::new(Topology::Cluster(addresses(nodes)))
    }

    pub(crate) fn new(topology: Topology) -> Self {
        Self {
            topology,
            tls: false,
            database: 0,
            login: Login::default(),
            sentinel_login: None,
            prefix: "mcp".into(),
            connections: 2,
            in_flight: 256,
            connect_deadline: Duration::from_secs(2),
            response_deadline: Duration::from_secs(2),
            #[cfg(feature = "tls")]
            roots: None,
        }
    }

    /// The ACL user. By default the server's default user.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.login.user = Some(user.into());
        self
    }

    /// The password; its reference is read anew for each connection.
    pub fn password(mut self, password: impl Into<SecretRef>) -> Self {
        self.login.password = Some(password.into());
        self
    }

    /// Whom to appear as at the sentinels. Default: nobody; the login of the servers is never shown
    /// to them.
    pub fn sentinel_login(mut self, user: Option<String>, password: impl Into<SecretRef>) -> Self {
        self.sentinel_login = Some(Login {
            user,
            password: Some(password.into()),
        });
        self
    }

    /// Whether the password stands in the settings themselves, as in an address, rather than behind a
    /// reference.
    pub fn has_literal_password(&self) -> bool {
        let password = self.login.password.as_ref();
        password.is_some_and(SecretRef::is_literal)
    }

    /// What the name of every key and channel begins with: programs with the same prefix share
    /// everything, others nothing. Default `mcp`.
    ///
    /// # Errors
    /// When it is empty, longer than 64 bytes, or has other characters than letters, digits and
    /// `. _ - :`.
    pub fn prefix(mut self, prefix: impl Into<Arc<str>>) -> Result<Self, RedisError> {
        let prefix = prefix.into();
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:".contains(&byte);
        if prefix.is_empty() || prefix.len() > MAX_PREFIX || !prefix.bytes().all(fits) {
            return Err(RedisError::config(
                "a prefix is 1 to 64 letters, digits and `. _ - :`",
            ));
        }
        self.prefix = prefix;
        Ok(self)
    }

    /// The number of the database. Default 0; a cluster has no other.
    pub fn database(mut self, database: u32) -> Self {
        self.database = database.into();
        self
    }

    /// How many connections carry requests (default 2), besides one for subscriptions. Each takes
    /// many requests at once; a cluster has one to each node.
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = connections.clamp(1, 64);
        self
    }

    /// How many requests may be under way on a connection (default 256); more wait their turn.
    pub fn max_in_flight(mut self, requests: usize) -> Self {
        self.in_flight = requests.clamp(1, 65_536);
        self
    }

    /// How long to try to connect, TLS and login included (default 2 s; from 10 ms to 5 minutes).
    pub fn connect_deadline(mut self, deadline: Duration) -> Self {
        self.connect_deadline = deadline.clamp(MIN_DEADLINE, MAX_DEADLINE);
        self
    }

    /// How long to wait for an answer (default 2 s; from 10 ms to 5 minutes).
    pub fn response_deadline(mut self, deadline: Duration) -> Self {
        self.response_deadline = deadline.clamp(MIN_DEADLINE, MAX_DEADLINE);
        self
    }

    /// Talks TLS to every server, verifying its name.
    #[cfg(feature = "tls")]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// The only roots to believe, in PEM. Default: the system's, without those that are malformed; or
    /// those of Mozilla where the system has none. Needs [`tls`](Self::tls).
    #[cfg(feature = "tls")]
    pub fn tls_roots_pem(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.roots = Some(pem.as_ref().into());
        self
    }

    /// The handle. Connects to nothing yet.
    ///
    /// # Errors
    /// When settings do not fit together: no address at all, a database of a cluster, a login for
    /// sentinels where there are none, roots without TLS.
    pub fn open(self) -> Result<Redis, RedisError> {
        let nobody = match &self.topology {
            Topology::Single(_) => false,
            Topology::Sentinel { sentinels, .. } => sentinels.is_empty(),
            Topology::Cluster(nodes) => nodes.is_empty(),
        };
        if nobody {
            return Err(RedisError::config("there is no address of a server"));
        }
        if matches!(self.topology, Topology::Cluster(_)) && self.database != 0 {
            return Err(RedisError::config("a cluster has no database but 0"));
        }
        if self.sentinel_login.is_some() && !matches!(self.topology, Topology::Sentinel { .. }) {
            return Err(RedisError::config(
                "there is a login for sentinels, and the address is of none",
            ));
        }
        #[cfg(feature = "tls")]
        if self.roots.is_some() && !self.tls {
            return Err(RedisError::config(
                "there are roots to believe, and the address is without TLS",
            ));
        }
        Redis::new(self)
    }
}

impl Address {
    pub(crate) fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConfig")
            .field("topology", &self.topology)
            .field("tls", &self.tls)
            .field("login", &self.login)
            .field("sentinel_login", &self.sentinel_login)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

impl Login {
    pub(crate) fn literal(user: Option<&str>, password: Option<&str>) -> Self {
        Self {
            user: user.filter(|user| !user.is_empty()).map(str::to_owned),
            password: password.map(|password| SecretRef::literal(SecretString::from(password))),
        }
    }
}

fn addresses(from: impl IntoIterator<Item = (impl Into<String>, u16)>) -> Vec<Address> {
    let addresses = from.into_iter();
    addresses
        .map(|(host, port)| Address::new(host, port))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_do_not_fit_the_address_are_refused() {
        let sentinels = || RedisConfig::sentinel([("localhost", 26379)], "main");
        let single = || RedisConfig::single("localhost", 6379);
        let login = |config: RedisConfig| config.sentinel_login(None, SecretRef::literal("canary"));
        assert!(login(sentinels()).open().is_ok());
        let refused = |config: RedisConfig| {
            let error = config.open().unwrap_err();
            assert_eq!(error.kind(), crate::RedisErrorKind::Config);
            assert!(!format!("{error:?}").contains("canary"));
        };
        refused(login(single()));
        refused(RedisConfig::sentinel([("localhost", 1); 0], "main"));
        #[cfg(feature = "cluster")]
        {
            let cluster = || RedisConfig::cluster([("localhost", 6379)]);
            refused(login(cluster()));
            refused(cluster().database(1));
        }
        #[cfg(feature = "tls")]
        {
            let pem = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
            let pem = pem.unwrap().cert.pem();
            refused(single().tls_roots_pem(&pem));
            assert!(single().tls_roots_pem(&pem).tls().open().is_ok());
            assert!(single().tls().tls_roots_pem(&pem).open().is_ok());
        }
    }

    #[test]
    fn no_deadline_is_over_before_it_begins() {
        for (asked, kept) in [
            (Duration::ZERO, MIN_DEADLINE),
            (Duration::from_secs(7), Duration::from_secs(7)),
            (Duration::MAX, MAX_DEADLINE),
        ] {
            let config = RedisConfig::single("localhost", 6379)
                .connect_deadline(asked)
                .response_deadline(asked);
            assert_eq!(config.connect_deadline, kept);
            assert_eq!(config.response_deadline, kept);
        }
    }
}
