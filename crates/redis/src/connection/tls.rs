//! TLS to Redis: whom to believe.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::config::Address;
use crate::{RedisConfig, RedisError};

/// What is believed, read at the first connection.
pub(super) struct Tls {
    own: Option<Roots>,
    config: OnceCell<Arc<ClientConfig>>,
}

/// Certificates that rustls takes for roots, every one.
type Roots = Arc<[CertificateDer<'static>]>;

impl Tls {
    pub(super) fn new(config: &RedisConfig) -> Result<Self, RedisError> {
        Ok(Self {
            own: config.roots.as_deref().map(read).transpose()?,
            config: OnceCell::new(),
        })
    }

    pub(super) async fn connect(
        &self,
        address: &Address,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, RedisError> {
        let config = self.config().await?;
        let name = ServerName::try_from(address.host.clone()).map_err(|error| {
            RedisError::config("the host of Redis is no name that a certificate can have")
                .because(error)
        })?;
        let connected = TlsConnector::from(config).connect(name, stream).await;
        connected.map_err(|error| {
            RedisError::unreachable(format!("no TLS with Redis at {address:?}")).because(error)
        })
    }

    async fn config(&self) -> Result<Arc<ClientConfig>, RedisError> {
        let made = async || client(&self.roots().await?);
        self.config.get_or_try_init(made).await.cloned()
    }

    /// Whom to believe, whatever kind of server it is; nobody where the system knows nobody.
    async fn roots(&self) -> Result<Roots, RedisError> {
        match &self.own {
            Some(own) => Ok(Arc::clone(own)),
            None => tokio::task::spawn_blocking(of_the_system)
                .await
                .map_err(|error| RedisError::config("TLS cannot be set up").because(error)),
        }
    }

    /// The cluster client makes its own connections, from roots in PEM and from the provider that
    /// the process has as its default.
    #[cfg(feature = "cluster")]
    pub(super) async fn for_cluster(
        &self,
        builder: redis::cluster::ClusterClientBuilder,
    ) -> Result<redis::cluster::ClusterClientBuilder, RedisError> {
        use base64::Engine as _;
        use base64::engine::general_purpose::STANDARD;
        use std::fmt::Write as _;

        let _already_there = rustls::crypto::ring::default_provider().install_default();
        let builder = builder.tls(redis::TlsMode::Secure);
        let roots = self.roots().await?;
        // The library believes Mozilla's then, as is done here.
        if roots.is_empty() {
            return Ok(builder);
        }
        let mut pem = String::new();
        for root in roots.iter() {
            let _into_memory = write!(
                pem,
                "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
                STANDARD.encode(root)
            );
        }
        Ok(builder.certs(redis::TlsCertificates {
            client_tls: None,
            root_cert: Some(pem.into_bytes()),
        }))
    }
}

fn read(pem: &[u8]) -> Result<Roots, RedisError> {
    let mut roots = Vec::new();
    for root in CertificateDer::pem_slice_iter(pem) {
        let root = root.map_err(|error| {
            RedisError::config("a root certificate is malformed").because(error)
        })?;
        RootCertStore::empty()
            .add(root.clone())
            .map_err(|error| RedisError::config("a root certificate is unusable").because(error))?;
        roots.push(root);
    }
    if roots.is_empty() {
        return Err(RedisError::config(
            "there is no PEM certificate in the text",
        ));
    }
    Ok(roots.into())
}

/// A single odd certificate in the system's store must not switch TLS off.
fn of_the_system() -> Roots {
    let mut roots = rustls_native_certs::load_native_certs().certs;
    roots.retain(|root| RootCertStore::empty().add(root.clone()).is_ok());
    roots.into()
}

fn client(believed: &[CertificateDer<'static>]) -> Result<Arc<ClientConfig>, RedisError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(believed.iter().cloned());
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    // The provider is named, never looked up: another crate of the program may want another.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| RedisError::config("TLS cannot be set up").because(error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
