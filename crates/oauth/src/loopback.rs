//! A listener on this machine for one callback of a browser (RFC 8252, section 7.3).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use url::{Host, Url};

use crate::{Authorized, OAuthError, flow};

/// The longest head of a request.
const MAX_HEAD: usize = 16 * 1024;
/// How long a browser may take to send one; some open connections ahead and send nothing.
const HEAD: Duration = Duration::from_secs(10);
/// Connections that are listened to at a time.
const CONNECTIONS: usize = 16;
/// Writing the page.
const PAGE: Duration = Duration::from_secs(2);

/// Listens on a loopback address for the callback of one authorization. Closed when it is dropped.
#[derive(Debug)]
pub struct LoopbackListener {
    listener: TcpListener,
    redirect_uri: String,
    path: String,
}

/// The callback, and the browser that waits for a page.
pub struct ArrivedCallback {
    url: String,
    browser: TcpStream,
}

impl LoopbackListener {
    /// Listens on 127.0.0.1 at a free port for this path, such as `/callback`.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn bind(path: &str) -> Result<Self, OAuthError> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = TcpListener::bind(address).await.map_err(|_| refused())?;
        let port = listener.local_addr().map_err(|_| refused())?.port();
        Ok(Self {
            listener,
            redirect_uri: format!("http://127.0.0.1:{port}{path}"),
            path: path.to_owned(),
        })
    }

    /// Listens where a redirect URL leads, which must be on loopback.
    ///
    /// # Errors
    /// When it is elsewhere, or its port is taken.
    pub async fn bind_at(redirect_uri: &str) -> Result<Self, OAuthError> {
        let elsewhere = || {
            OAuthError::config(
                "a login on this machine needs a redirect URL of loopback with a port",
            )
        };
        let url = Url::parse(redirect_uri).map_err(|_| elsewhere())?;
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            Some(Host::Domain("localhost")) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            _ => return Err(elsewhere()),
        };
        if url.scheme() != "http" || !address.is_loopback() {
            return Err(elsewhere());
        }
        let port = url.port().ok_or_else(elsewhere)?;
        let listener = TcpListener::bind((address, port))
            .await
            .map_err(|_| refused())?;
        Ok(Self {
            listener,
            redirect_uri: redirect_uri.to_owned(),
            path: url.path().to_owned(),
        })
    }

    /// The URL to give as redirect URL.
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// Waits for the callback of the authorization with this state; whatever else comes is turned
    /// away. Has no deadline of its own.
    ///
    /// # Errors
    /// When the listener breaks.
    pub async fn callback(self, state: &str) -> Result<ArrivedCallback, OAuthError> {
        self.arrival(Some(state)).await
    }

    /// Waits for the first callback of any authorization, so that one with a wrong state can be told
    /// at once: whoever completes it believes nothing of it unasked. Has no deadline of its own.
    ///
    /// # Errors
    /// When the listener breaks.
    pub async fn first_callback(self) -> Result<ArrivedCallback, OAuthError> {
        self.arrival(None).await
    }

    async fn arrival(self, state: Option<&str>) -> Result<ArrivedCallback, OAuthError> {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept(), if connections.len() < CONNECTIONS => {
                    let (stream, _) = accepted.map_err(|_| OAuthError::unavailable("the callback"))?;
                    connections.spawn(head(stream));
                }
                Some(read) = connections.join_next() => {
                    let Ok(Some((target, stream))) = read else { continue };
                    let Some(url) = self.ours(&target, state) else {
                        connections.spawn(async move {
                            page(stream, "404 Not Found", "Nothing is here.").await;
                            None
                        });
                        continue;
                    };
                    return Ok(ArrivedCallback { url, browser: stream });
                }
            }
        }
    }

    fn ours(&self, target: &str, state: Option<&str>) -> Option<String> {
        let url = Url::parse(&self.redirect_uri).ok()?.join(target).ok()?;
        if url.path() != self.path {
            return None;
        }
        let Some(state) = state else {
            let answers = |name: &str| matches!(name, "state" | "code" | "error");
            let mut names = url.query_pairs();
            return names
                .any(|(name, _)| answers(&name))
                .then(|| url.clone().into());
        };
        let callback = flow::read(url.as_str()).ok()?;
        (callback.state == state).then(|| url.into())
    }
}

impl ArrivedCallback {
    /// The whole callback URL. Secret: it holds the code.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Shows the browser what became of it.
    pub async fn answer(self, outcome: &Result<Authorized, OAuthError>) {
        let text = match outcome {
            Ok(_) => "You are logged in. You can close this page.",
            Err(OAuthError::Denied { .. }) => "Access was denied. You can close this page.",
            Err(_) => "The login failed. The program that began it says why.",
        };
        page(self.browser, "200 OK", text).await;
    }
}

impl fmt::Debug for ArrivedCallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArrivedCallback").finish_non_exhaustive()
    }
}

/// The target of a GET, once its head is there.
async fn head(mut stream: TcpStream) -> Option<(String, TcpStream)> {
    let mut head = Vec::new();
    let read = async {
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            if head.len() > MAX_HEAD || stream.read_buf(&mut head).await.ok()? == 0 {
                return None;
            }
        }
        Some(())
    };
    timeout(HEAD, read).await.ok()??;
    let line = std::str::from_utf8(&head).ok()?.lines().next()?;
    let target = line.strip_prefix("GET ")?.split(' ').next()?;
    Some((target.to_owned(), stream))
}

/// A page without anything of the request in it, that runs and loads nothing.
async fn page(mut stream: TcpStream, status: &str, text: &str) {
    let body = format!("<!doctype html><meta charset=utf-8><title>mcp</title><p>{text}</p>\n");
    let response = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\n\
         content-security-policy: default-src 'none'\r\nreferrer-policy: no-referrer\r\n\
         cache-control: no-store\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let written = async {
        stream.write_all(response.as_bytes()).await?;
        stream.shutdown().await
    };
    // The browser may be gone; the login is none the worse for it.
    let _ = timeout(PAGE, written).await;
}

fn refused() -> OAuthError {
    OAuthError::unavailable("a loopback port for the callback")
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn get(address: SocketAddr, target: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {target} HTTP/1.1\r\nhost: x\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn only_the_awaited_callback_is_taken() {
        let listener = LoopbackListener::bind("/callback").await.unwrap();
        let address = listener.listener.local_addr().unwrap();
        assert!(address.ip().is_loopback());
        // A connection that a browser opened ahead and sends nothing on.
        let _idle = TcpStream::connect(address).await.unwrap();
        let waiting = tokio::spawn(async move { listener.callback("s1").await });
        for target in ["/favicon.ico", "/callback?code=a&state=other", "/callback"] {
            assert!(
                get(address, target).await.starts_with("HTTP/1.1 404"),
                "{target}"
            );
        }
        let browser = tokio::spawn(get(address, "/callback?code=a&state=s1"));
        let arrived = waiting.await.unwrap().unwrap();
        assert!(arrived.url().ends_with("/callback?code=a&state=s1"));
        arrived.answer(&Err(OAuthError::config("canary"))).await;
        let page = browser.await.unwrap();
        assert!(page.contains("login failed") && !page.contains("canary"));
        assert!(page.contains("default-src 'none'"));
    }

    #[tokio::test]
    async fn a_callback_with_another_state_is_handed_on_where_that_is_wanted() {
        let listener = LoopbackListener::bind("/callback").await.unwrap();
        let address = listener.listener.local_addr().unwrap();
        let waiting = tokio::spawn(async move { listener.first_callback().await });
        for target in ["/favicon.ico", "/callback", "/other?code=a&state=s"] {
            let answer = get(address, target).await;
            assert!(answer.starts_with("HTTP/1.1 404"), "{target}");
        }
        let browser = tokio::spawn(get(address, "/callback?code=a&state=other"));
        let arrived = waiting.await.unwrap().unwrap();
        assert!(arrived.url().ends_with("/callback?code=a&state=other"));
        drop(arrived);
        let _nothing_to_read = browser.await;
    }

    #[tokio::test]
    async fn it_listens_on_loopback_only() {
        for elsewhere in [
            "http://192.0.2.1:4000/",
            "https://127.0.0.1:4000/",
            "http://127.0.0.1/",
        ] {
            assert!(
                LoopbackListener::bind_at(elsewhere).await.is_err(),
                "{elsewhere}"
            );
        }
    }
}
