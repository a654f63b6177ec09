//! The steps `dns` and `tcp`: a name becomes addresses, and one of them answers.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mcp_core::{Error, Failure};
use mcp_http::HttpUrl;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::diagnosis::{Diagnosis, begin};

/// More addresses than this are not tried.
const TRIED: usize = 8;

/// Whether a connection can be opened at all.
pub(crate) async fn reachable(
    diagnosis: &mut Diagnosis,
    url: &HttpUrl,
    patience: Duration,
) -> bool {
    let Some(addresses) = named(diagnosis, url, patience).await else {
        return false;
    };
    let begun = begin("tcp");
    let mut last = None;
    for address in addresses.iter().take(TRIED) {
        match timeout(patience, TcpStream::connect(address)).await {
            Ok(Ok(_)) => {
                diagnosis.ok(&begun, format!("{address} answers"));
                return true;
            }
            Ok(Err(error)) => last = Some(failed(url, error)),
            Err(_) => last = Some(Error::timeout(patience, "connecting")),
        }
    }
    let error = last.unwrap_or_else(|| failed(url, std::io::ErrorKind::AddrNotAvailable.into()));
    let advice = match error.failure() {
        Failure::Timeout { .. } => format!(
            "nothing answers at {}: a firewall, a VPN that is off, or a wrong address",
            url.peer()
        ),
        _ => format!(
            "nothing listens at {}: is the server running, and is the port right?",
            url.peer()
        ),
    };
    diagnosis.fail(&begun, error, advice);
    false
}

async fn named(
    diagnosis: &mut Diagnosis,
    url: &HttpUrl,
    patience: Duration,
) -> Option<Vec<SocketAddr>> {
    let begun = begin("dns");
    let host = url.host();
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = literal.parse::<IpAddr>() {
        diagnosis.ok(&begun, "an address, nothing to look up");
        return Some(vec![SocketAddr::new(address, url.port())]);
    }
    let found = match timeout(patience, lookup_host((host, url.port()))).await {
        Ok(Ok(found)) => Ok(found.collect::<Vec<_>>()),
        Ok(Err(error)) => Err(failed(url, error)),
        Err(_) => Err(Error::timeout(patience, "looking up the host's name")),
    };
    match found {
        Ok(addresses) if !addresses.is_empty() => {
            let mut shown: Vec<_> = addresses.iter().map(|it| it.ip().to_string()).collect();
            shown.dedup();
            diagnosis.ok(&begun, shown.join(", "));
            Some(addresses)
        }
        other => {
            let error = other.err();
            let error = error.unwrap_or_else(|| failed(url, std::io::ErrorKind::NotFound.into()));
            let advice = format!("no address is known for `{host}`: is the name right?");
            diagnosis.fail(&begun, error, advice);
            None
        }
    }
}

fn failed(url: &HttpUrl, error: std::io::Error) -> Error {
    Failure::Connect {
        peer: url.peer().to_owned(),
        source: Some(Arc::new(error)),
    }
    .into()
}

/// Whether plain HTTP is spoken where TLS was expected.
pub(crate) async fn speaks_plain_http(url: &HttpUrl, patience: Duration) -> bool {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let asked = async {
        let mut stream = TcpStream::connect((url.host(), url.port())).await.ok()?;
        let request = format!(
            "HEAD / HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n",
            url.peer()
        );
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut beginning = [0; 5];
        stream.read_exact(&mut beginning).await.ok()?;
        (&beginning == b"HTTP/").then_some(())
    };
    matches!(timeout(patience, asked).await, Ok(Some(())))
}
