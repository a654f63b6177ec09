//! The step `tls`: whether the server is believed, and for how long.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mcp_auth::time::{Clock as _, SystemClock};
use mcp_core::{Error, Failure};
use mcp_http::{Handshake, HttpClient, HttpUrl};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::diagnosis::{Diagnosis, begin};
use super::network;
use crate::failure;

/// A certificate that ends sooner than this is worth a word.
const SOON: Duration = Duration::from_secs(14 * 24 * 3600);

/// Whether the handshake succeeds.
pub(crate) async fn believed(
    diagnosis: &mut Diagnosis,
    client: &HttpClient,
    url: &HttpUrl,
    patience: Duration,
) -> bool {
    if !url.is_https() {
        diagnosis.skip("tls", "plain HTTP, to this machine");
        return true;
    }
    let begun = begin("tls");
    match client.handshake(url).await {
        Ok(handshake) => {
            let certificate = Certificate::of(&handshake);
            let detail = certificate.words(&handshake);
            match certificate.days_left() {
                Some(days) if days * 24 * 3600 < SOON.as_secs() => {
                    let advice = format!("renew the certificate: it ends in {days} days");
                    diagnosis.warn(&begun, detail, &advice);
                }
                _ => diagnosis.ok(&begun, detail),
            }
            true
        }
        Err(error) => {
            let advice = advice(&error, url, patience).await;
            diagnosis.fail(&begun, error, advice);
            false
        }
    }
}

async fn advice(error: &Error, url: &HttpUrl, patience: Duration) -> String {
    let words = failure::words(error);
    let says = |part: &str| words.to_ascii_lowercase().contains(part);
    if says("expired") {
        return "the server's certificate has expired: renew it (or set this machine's clock)"
            .into();
    }
    if says("not valid yet") || says("notvalidyet") {
        return "the server's certificate is not valid yet: is this machine's clock right?".into();
    }
    if says("not valid for name") || says("notvalidforname") {
        return format!(
            "the certificate is for another host name than `{}`: use the name that it was made for",
            url.host()
        );
    }
    if says("unknownissuer")
        || says("unknown issuer")
        || says("causedasenduentity")
        || says("ca used")
    {
        return "nobody known vouches for the certificate (self-signed, or of a private authority): add \
                that authority to this machine's, or name its file in `SSL_CERT_FILE`"
            .into();
    }
    if network::speaks_plain_http(url, patience).await {
        return format!(
            "plain HTTP is spoken at {}: write `http://` if that is meant",
            url.peer()
        );
    }
    match error.failure() {
        Failure::Tls { .. } => "the server's TLS cannot be used; what it said stands above".into(),
        _ => "no TLS is spoken there, or a proxy or firewall is in between".into(),
    }
}

/// What is worth telling of the server's own certificate.
#[derive(Debug, Default)]
struct Certificate {
    subject: String,
    issuer: String,
    end: Option<SystemTime>,
}

impl Certificate {
    fn of(handshake: &Handshake) -> Self {
        let own = handshake.certificates.first();
        let Some((_, own)) = own.and_then(|der| X509Certificate::from_der(der).ok()) else {
            return Self::default();
        };
        let end = u64::try_from(own.validity().not_after.timestamp()).ok();
        Self {
            subject: own.subject().to_string(),
            issuer: own.issuer().to_string(),
            end: end.and_then(|end| UNIX_EPOCH.checked_add(Duration::from_secs(end))),
        }
    }

    fn days_left(&self) -> Option<u64> {
        let left = self
            .end?
            .duration_since(SystemClock.wall())
            .unwrap_or_default();
        Some(left.as_secs() / (24 * 3600))
    }

    fn words(&self, handshake: &Handshake) -> String {
        let mut parts = Vec::new();
        parts.extend(handshake.version.clone());
        parts.push(if handshake.http2 { "h2" } else { "http/1.1" }.to_owned());
        parts.push(format!("{} certificates", handshake.certificates.len()));
        if !self.subject.is_empty() {
            parts.push(format!("{} by {}", self.subject, self.issuer));
        }
        if let Some(end) = self.end {
            let end = humantime::format_rfc3339_seconds(end);
            parts.push(format!("until {end}"));
        }
        parts.join(", ")
    }
}
