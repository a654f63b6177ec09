//! The newest `DPoP-Nonce` of each origin.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderValue;
use url::Url;

/// One instance serves one MCP server and its authorization servers: more origins than this are
/// somebody's game.
const MAX_ORIGINS: usize = 32;
/// The longest nonce that is kept, in bytes.
const MAX_BYTES: usize = 1024;

/// A nonce belongs to the server that gave it, and to nobody else (RFC 9449, section 8.2).
#[derive(Debug, Default)]
pub(crate) struct Nonces(Mutex<HashMap<String, Arc<str>>>);

impl Nonces {
    pub(crate) fn of(&self, url: &str) -> Option<Arc<str>> {
        let origin = origin(url)?;
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&origin).cloned()
    }

    /// Keeps a nonce; says whether it is another than before.
    pub(crate) fn learn(&self, url: &str, nonce: &HeaderValue) -> bool {
        let (Some(origin), Ok(nonce)) = (origin(url), nonce.to_str()) else {
            return false;
        };
        // NQCHAR (RFC 9449, section 8.1).
        let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
        if nonce.is_empty() || nonce.len() > MAX_BYTES || !nonce.bytes().all(plain) {
            return false;
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.get(&origin).is_some_and(|old| **old == *nonce) {
            return false;
        }
        if known.len() < MAX_ORIGINS || known.contains_key(&origin) {
            known.insert(origin, Arc::from(nonce));
            return true;
        }
        false
    }
}

fn origin(url: &str) -> Option<String> {
    Url::parse(url)
        .ok()
        .map(|url| url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_stays_at_its_origin_and_the_newest_wins() {
        let nonces = Nonces::default();
        let nonce = |text: &'static str| HeaderValue::from_static(text);
        assert!(nonces.learn("https://as.test/token", &nonce("n1")));
        assert!(!nonces.learn("https://as.test/other", &nonce("n1")));
        assert!(nonces.learn("https://as.test:443/token", &nonce("n2")));
        assert_eq!(nonces.of("https://as.test/revoke?x").as_deref(), Some("n2"));
        assert_eq!(nonces.of("https://mcp.test/"), None);
        assert!(!nonces.learn("https://as.test/token", &nonce("a\"b")));
    }

    #[test]
    fn origins_are_bounded() {
        let nonces = Nonces::default();
        for port in 1..100 {
            nonces.learn(
                &format!("http://localhost:{port}/"),
                &HeaderValue::from_static("n"),
            );
        }
        assert_eq!(nonces.0.lock().unwrap().len(), MAX_ORIGINS);
    }
}
