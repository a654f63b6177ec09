//! A look at a server's TLS, for whoever explains why it does not work.

use std::fmt;

use hyper_rustls::MaybeHttpsStream;
use mcp_core::Error;
use tower_service::Service as _;

use super::connect::Connector;
use super::{HttpClient, HttpUrl, UrlSource};

/// What a handshake showed: the server's certificates were believed.
#[derive(Clone)]
#[non_exhaustive]
pub struct Handshake {
    /// The version, such as `TLSv1_3`.
    pub version: Option<String>,
    /// Whether both sides agreed on HTTP/2.
    pub http2: bool,
    /// The certificates as the server sent them (DER), its own first.
    pub certificates: Vec<Vec<u8>>,
}

impl HttpClient {
    /// Connects to a URL that the user configured, shakes hands and hangs up. Nothing is asked. For
    /// plain HTTP there is no handshake: the connection alone was opened.
    ///
    /// # Errors
    /// As [`send`](Self::send), of the kinds that are before the request.
    pub async fn handshake(&self, url: &HttpUrl) -> Result<Handshake, Error> {
        let inner = &*self.0;
        let policy = self.policy(url, UrlSource::Configured)?;
        let mut connector = Connector::new(
            policy,
            &inner.resolver,
            std::sync::Arc::clone(&inner.tls),
            inner.proxy.as_ref(),
            inner.limits.connect_timeout,
        );
        let connected = connector.call(url.uri().clone()).await;
        let stream = connected.map_err(|failure| failure.at(url))?;
        let MaybeHttpsStream::Https(stream) = &stream else {
            return Ok(Handshake {
                version: None,
                http2: false,
                certificates: Vec::new(),
            });
        };
        let session = stream.inner().get_ref().1;
        let chain = session.peer_certificates().unwrap_or_default();
        Ok(Handshake {
            version: session
                .protocol_version()
                .map(|version| format!("{version:?}")),
            http2: session.alpn_protocol() == Some(b"h2"),
            certificates: chain.iter().map(|it| it.as_ref().to_vec()).collect(),
        })
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake")
            .field("version", &self.version)
            .field("http2", &self.http2)
            .field("certificates", &self.certificates.len())
            .finish()
    }
}
