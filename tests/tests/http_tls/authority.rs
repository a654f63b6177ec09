//! Certificates, and servers that show them.

use std::sync::Arc;

use mcp_http::HttpClient;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, crypto::ring};

/// An authority that nobody believes without being told to.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
    der: CertificateDer<'static>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        Self {
            pem: certificate.pem(),
            der: certificate.der().clone(),
            issuer: Issuer::new(params, key),
        }
    }

    /// A certificate for a name, as `change` wants it.
    pub(crate) fn issue(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Issued {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Issued {
            pem: certificate.pem(),
            der: certificate.der().clone(),
            key,
        }
    }

    /// Who believes this authority beside those that everybody does.
    pub(crate) fn believer(&self) -> HttpClient {
        let builder = HttpClient::builder().root_certificates(self.pem.as_bytes());
        builder.unwrap().build()
    }

    /// Asks for a certificate of this authority.
    fn verifier(&self) -> Arc<dyn ClientCertVerifier> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let provider = Arc::new(ring::default_provider());
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .unwrap()
    }

    /// A listener for a server of this authority that speaks one of `protocols`: where it is, and what
    /// makes a connection a secure one.
    pub(crate) async fn listen(&self, protocols: &[&str]) -> (String, TcpListener, TlsAcceptor) {
        let acceptor = self.issue("localhost", |_| {}).acceptor(protocols, None);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        (format!("https://localhost:{port}/mcp"), listener, acceptor)
    }
}

/// A certificate and its key.
pub(crate) struct Issued {
    pub(crate) pem: String,
    der: CertificateDer<'static>,
    pub(crate) key: KeyPair,
}

impl Issued {
    /// Shows this certificate and speaks one of `protocols`; whoever connects has to show one of
    /// `clients`, where there is such an authority.
    pub(crate) fn acceptor(&self, protocols: &[&str], clients: Option<&Authority>) -> TlsAcceptor {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => builder.with_client_cert_verifier(authority.verifier()),
        };
        let key = PrivatePkcs8KeyDer::from(self.key.serialize_der());
        let mut config = builder
            .with_single_cert(vec![self.der.clone()], key.into())
            .unwrap();
        config.alpn_protocols = protocols.iter().map(|it| it.as_bytes().to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}
