//! What went out with a request: the server's words may echo it.

use std::borrow::Cow;

use mcp_core::auth::{Credentials, Redactor, SecretString};

use super::session::SessionKey;
use crate::client::HttpUrl;

/// What a server was told that nobody else is to read in its words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent<'a> {
    pub(crate) credentials: &'a Credentials,
    /// Whoever knows its id can act in it.
    pub(crate) session: Option<&'a SessionKey>,
    /// Its query may hold a key, or the id of a session.
    pub(crate) url: &'a HttpUrl,
}

impl Sent<'_> {
    /// The text without any of it.
    pub(crate) fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let session = self.session.and_then(SessionKey::id).map(Cow::Borrowed);
        let query = self.url.uri().query().unwrap_or_default();
        // Some keys are a query by themselves, without a name.
        let as_sent = query.split('&').map(|pair| match pair.split_once('=') {
            Some((_, value)) => Cow::Borrowed(value),
            None => Cow::Borrowed(pair),
        });
        let meant = url::form_urlencoded::parse(query.as_bytes());
        let meant = meant.map(|(name, value)| if value.is_empty() { name } else { value });
        let beside = session.into_iter().chain(as_sent).chain(meant);
        let beside = Redactor::new(beside.map(|it| SecretString::from(it.into_owned())));
        match self.credentials.redact(text) {
            Cow::Borrowed(text) => beside.redact(text),
            Cow::Owned(text) => Cow::Owned(beside.redact(&text).into_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_in_the_query_are_not_shown() {
        let query = "key=canary%2Fkey&v=2&flag&canary%2Balone";
        let url = HttpUrl::parse(&format!("https://mcp.test/mcp?{query}")).unwrap();
        let credentials = Credentials::bearer("test-token-canary").unwrap();
        let sent = Sent {
            credentials: &credentials,
            session: None,
            url: &url,
        };
        let said =
            "no canary/key, canary%2Fkey, canary+alone, canary%2Balone or test-token-canary at v=2";
        assert_eq!(
            sent.redact(said),
            "no [redacted], [redacted], [redacted], [redacted] or [redacted] at v=2"
        );
    }
}
