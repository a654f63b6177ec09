//! What each origin wants in proofs: its newest nonce, and times of its own clock.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use http::HeaderValue;
use url::Url;

/// One instance serves one MCP server and its authorization servers: more origins than this are
/// somebody's game.
const MAX_ORIGINS: usize = 32;
/// The longest nonce that is kept, in bytes.
const MAX_BYTES: usize = 1024;

/// Clocks that differ by less are not what a proof was refused for.
const SAME_TIME: Duration = Duration::from_secs(5);
/// A server's clock is believed as far as this. What it says of time is used for proofs to itself.
const MAX_SKEW: Duration = Duration::from_secs(24 * 3600);

/// A nonce belongs to the server that gave it, and to nobody else (RFC 9449, section 8.2); so does
/// its time.
#[derive(Debug, Default)]
pub(crate) struct Nonces(Mutex<HashMap<String, Wants>>);

#[derive(Debug, Default)]
struct Wants {
    nonce: Option<Arc<str>>,
    skew: Skew,
}

/// How a server's clock differs from ours.
#[derive(Clone, Copy, Debug)]
enum Skew {
    Ahead(Duration),
    Behind(Duration),
}

impl Default for Skew {
    fn default() -> Self {
        Self::Ahead(Duration::ZERO)
    }
}

impl Skew {
    fn at(self, now: SystemTime) -> SystemTime {
        let there = match self {
            Self::Ahead(by) => now.checked_add(by),
            Self::Behind(by) => now.checked_sub(by),
        };
        there.unwrap_or(now)
    }
}

impl Nonces {
    pub(crate) fn of(&self, url: &str) -> Option<Arc<str>> {
        let origin = origin(url)?;
        self.known().get(&origin)?.nonce.clone()
    }

    /// What time it is there, as far as its clock is known to differ from ours.
    pub(crate) fn time_at(&self, url: &str, now: SystemTime) -> SystemTime {
        let origin = origin(url);
        let skew = origin.and_then(|origin| Some(self.known().get(&origin)?.skew));
        skew.unwrap_or_default().at(now)
    }

    /// Keeps how a server's clock differs that has refused a proof for its time, maybe; says whether
    /// a proof would have another time now.
    pub(crate) fn learn_time(&self, url: &str, theirs: SystemTime, now: SystemTime) -> bool {
        let Some(origin) = origin(url) else {
            return false;
        };
        let skew = match theirs.duration_since(now) {
            Ok(ahead) => Skew::Ahead(ahead.min(MAX_SKEW)),
            Err(behind) => Skew::Behind(behind.duration().min(MAX_SKEW)),
        };
        let mut known = self.known();
        let Some(wants) = room(&mut known, origin) else {
            return false;
        };
        let (before, after) = (wants.skew.at(now), skew.at(now));
        let differs = after
            .duration_since(before)
            .unwrap_or_else(|it| it.duration());
        if differs < SAME_TIME {
            return false;
        }
        wants.skew = skew;
        true
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
        let mut known = self.known();
        let Some(wants) = room(&mut known, origin) else {
            return false;
        };
        if wants.nonce.as_deref() == Some(nonce) {
            return false;
        }
        wants.nonce = Some(Arc::from(nonce));
        true
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, Wants>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is known of an origin, if there is room for it.
fn room(known: &mut HashMap<String, Wants>, origin: String) -> Option<&mut Wants> {
    let has_room = known.len() < MAX_ORIGINS || known.contains_key(&origin);
    has_room.then(|| known.entry(origin).or_default())
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
    fn times_are_those_of_the_origin_and_believed_within_a_day() {
        let nonces = Nonces::default();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let (there, hour) = ("https://as.test/token", Duration::from_secs(3600));
        assert_eq!(nonces.time_at(there, now), now);
        assert!(!nonces.learn_time(there, now + Duration::from_secs(4), now));
        assert!(nonces.learn_time(there, now - hour, now));
        assert_eq!(nonces.time_at("https://as.test/x", now), now - hour);
        assert_eq!(nonces.time_at("https://mcp.test/", now), now);
        // Once is enough: it was not the time then.
        assert!(!nonces.learn_time(there, now - hour, now));
        assert!(nonces.learn_time(there, now + 1_000 * hour, now));
        assert_eq!(nonces.time_at(there, now), now + 24 * hour);
        assert!(nonces.learn_time(there, now, now));
        assert_eq!(nonces.time_at(there, now), now);
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
