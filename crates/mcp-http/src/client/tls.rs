//! TLS: whom to believe, and as whom to appear.

use std::fmt;
use std::sync::Arc;

use mcp_core::Error;
use mcp_core::auth::{ExposeSecret as _, SecretString};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::OnceCell;

/// What TLS is set up from; the setting up waits until somebody dials `https`.
#[derive(Default)]
pub(crate) struct TlsSettings {
    pub(crate) extra_roots: Vec<CertificateDer<'static>>,
    pub(crate) only_extra_roots: bool,
    pub(crate) identity: Option<Identity>,
}

/// A client certificate and its key (mTLS).
pub(crate) struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    pub(crate) fn from_pem(chain: &[u8], key: &SecretString) -> Result<Self, Error> {
        let key = PrivateKeyDer::from_pem_slice(key.expose_secret().as_bytes())
            // The parser's error may hold a piece of what it read.
            .map_err(|_| Error::config("the client's private key is not PEM"))?;
        Ok(Self {
            chain: certificates(chain)?,
            key,
        })
    }
}

/// Certificates out of PEM text.
pub(crate) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found =
        found.map_err(|error| Error::config_because("a certificate is malformed", error))?;
    if found.is_empty() {
        return Err(Error::config("there is no PEM certificate in the text"));
    }
    Ok(found)
}

/// Settings, and what was made of them at the first `https` connection: reading the system's roots
/// takes milliseconds that a loopback server should not cost.
pub(crate) struct Tls {
    settings: Arc<TlsSettings>,
    config: OnceCell<Arc<ClientConfig>>,
}

impl Tls {
    pub(crate) fn new(settings: TlsSettings) -> Self {
        Self {
            settings: Arc::new(settings),
            config: OnceCell::new(),
        }
    }

    pub(crate) async fn config(&self) -> Result<Arc<ClientConfig>, Error> {
        let load = || async {
            let settings = Arc::clone(&self.settings);
            tokio::task::spawn_blocking(move || settings.load())
                .await
                .map_err(|error| Error::config_because("TLS cannot be set up", error))?
        };
        self.config.get_or_try_init(load).await.cloned()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("extra_roots", &self.settings.extra_roots.len())
            .field("only_extra_roots", &self.settings.only_extra_roots)
            .field("identity", &self.settings.identity.is_some())
            .finish_non_exhaustive()
    }
}

impl TlsSettings {
    fn load(&self) -> Result<Arc<ClientConfig>, Error> {
        let mut roots = RootCertStore::empty();
        if !self.only_extra_roots {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            let native = rustls_native_certs::load_native_certs();
            for error in &native.errors {
                tracing::debug!(%error, "a root certificate of the system cannot be read");
            }
            // A single odd certificate in the system's store must not switch TLS off.
            roots.add_parsable_certificates(native.certs);
        }
        for root in &self.extra_roots {
            roots
                .add(root.clone())
                .map_err(|error| Error::config_because("a root certificate is unusable", error))?;
        }
        // The provider is named, never looked up: another crate of the program may want another.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::config_because("TLS cannot be set up", error))?
            .with_root_certificates(roots);
        let config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => builder
                .with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())
                .map_err(|error| {
                    Error::config_because("the client certificate and its key do not fit", error)
                })?,
        };
        Ok(Arc::new(config))
    }
}
