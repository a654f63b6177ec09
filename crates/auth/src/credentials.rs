//! What a request carries: header values, their fingerprint and their end.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, LazyLock};

use http::{HeaderMap, HeaderName, HeaderValue};
use secrecy::SecretString;

use crate::Fingerprint;
use crate::echo;
use crate::header::{self, InvalidHeader, InvalidHeaderReason};
use crate::time::Instant;

/// The headers that one request carries. Cloning copies a pointer; printing shows header names and
/// the fingerprint.
///
/// Made by [`Credentials::bearer`], [`Credentials::builder`] or [`Credentials::anonymous`]. The
/// fingerprint is the version of the value: equal credentials have equal fingerprints.
#[derive(Clone)]
pub struct Credentials(Arc<Inner>);

struct Inner {
    headers: Box<[(HeaderName, HeaderValue)]>,
    /// How many of `headers`, from the front, make up the fingerprint.
    lasting: usize,
    fingerprint: Fingerprint,
    expires_at: Option<Instant>,
    /// What these were combined from.
    parts: Option<[Credentials; 2]>,
    /// What travels in another way.
    beside: Option<Fingerprint>,
}

impl Credentials {
    /// No headers at all, for a server that asks for none.
    pub fn anonymous() -> Self {
        static ANONYMOUS: LazyLock<Credentials> = LazyLock::new(|| {
            Credentials(Arc::new(Inner {
                headers: Box::default(),
                lasting: 0,
                fingerprint: Fingerprint::anonymous(),
                expires_at: None,
                parts: None,
                beside: None,
            }))
        });
        ANONYMOUS.clone()
    }

    /// `Authorization: Bearer <token>` (RFC 6750, section 2.1), with no known end. A token that
    /// already begins with `Bearer` is not doubled.
    ///
    /// # Errors
    /// When the token is empty or has spaces, control characters or characters outside ASCII.
    pub fn bearer(token: impl Into<SecretString>) -> Result<Self, InvalidHeader> {
        Self::builder().bearer(token)?.build()
    }

    /// Several headers, an end, or both.
    pub fn builder() -> CredentialsBuilder {
        CredentialsBuilder::default()
    }

    /// The headers to send, values marked sensitive.
    pub fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.0.headers
    }

    pub(crate) fn names(&self) -> Vec<HeaderName> {
        self.0
            .headers
            .iter()
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Puts the headers into a request's map, replacing what stands there under their names.
    pub fn apply(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.0.headers {
            headers.insert(name.clone(), value.clone());
        }
    }

    /// Which credentials these are, in a form that may be logged.
    pub fn fingerprint(&self) -> Fingerprint {
        self.0.fingerprint
    }

    /// The fingerprint by which the provider that renews them knows them: of a combination, that of
    /// its first part. Logs show this one, so that a token can be followed from its refresh to the
    /// calls it went with.
    pub fn renewed_fingerprint(&self) -> Fingerprint {
        self.parts()
            .map_or(self.0.fingerprint, |[first, _]| first.renewed_fingerprint())
    }

    /// When they stop being valid, if that is known. `None` means never, as far as is known.
    pub fn expires_at(&self) -> Option<Instant> {
        self.0.expires_at
    }

    /// Whether there is nothing to send.
    pub fn is_anonymous(&self) -> bool {
        self.0.headers.is_empty()
    }

    /// The headers of both, remembering which came from which.
    pub(crate) fn combined(first: Self, second: Self) -> Result<Self, InvalidHeader> {
        let mut builder = Self::builder().merge(&first)?.merge(&second)?;
        builder.parts = Some([first, second]);
        builder.build()
    }

    /// The two that these were combined from.
    pub(crate) fn parts(&self) -> Option<&[Self; 2]> {
        self.0.parts.as_ref()
    }

    /// Whether this is the same value, end included.
    pub(crate) fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || (self.0.fingerprint == other.0.fingerprint
                && self.0.expires_at == other.0.expires_at)
    }

    /// Whether some header is new at every request.
    pub(crate) fn is_volatile(&self) -> bool {
        self.0.lasting < self.0.headers.len()
    }

    /// The text with every secret of these credentials replaced by `[redacted]`.
    ///
    /// Servers echo what they were sent, in error bodies and challenges alike; whatever a peer
    /// wrote goes through here before it becomes part of an error or a log line. Searches for whole
    /// header values, for the token behind an authentication scheme and for the password in a
    /// `Basic` one: as they are, as JSON, URLs and HTML write them, in Base64, and cut off by the end
    /// of the text. Values under six bytes are left alone.
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut text = Cow::Borrowed(text);
        for (name, value) in &self.0.headers {
            let Ok(value) = value.to_str() else { continue };
            let (scheme, token) = match value.split_once(' ') {
                Some((scheme, token)) if *name == http::header::AUTHORIZATION => (scheme, token),
                _ => ("", value),
            };
            text = echo::redact(text, token);
            if scheme.eq_ignore_ascii_case("basic")
                && let Some(pair) = header::basic_pair(token)
                && let Some((_, password)) = pair.split_once(':')
            {
                text = echo::redact(text, password);
            }
        }
        text
    }
}

/// Equal when their lasting headers are; see [`Credentials::fingerprint`].
impl PartialEq for Credentials {
    fn eq(&self, other: &Self) -> bool {
        self.0.fingerprint == other.0.fingerprint
    }
}

impl Eq for Credentials {}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("headers", &HeaderNames(&self.0.headers))
            .field("fingerprint", &self.0.fingerprint)
            .field("expires_at", &self.0.expires_at)
            .finish()
    }
}

/// Builds [`Credentials`] out of several headers. Every value is checked as it is added.
#[derive(Default)]
pub struct CredentialsBuilder {
    headers: Vec<(HeaderName, HeaderValue)>,
    /// How many of `headers`, from the front, make up the fingerprint.
    lasting: usize,
    expires_at: Option<Instant>,
    parts: Option<[Credentials; 2]>,
    /// What travels in another way.
    beside: Option<Fingerprint>,
}

impl CredentialsBuilder {
    /// Adds `Authorization: Bearer <token>`.
    ///
    /// # Errors
    /// When the token cannot stand in a header, or `Authorization` is already there.
    pub fn bearer(self, token: impl Into<SecretString>) -> Result<Self, InvalidHeader> {
        let value = header::bearer_value(&token.into())?;
        self.push(http::header::AUTHORIZATION, value, true)
    }

    /// Adds `Authorization` with a token of a scheme, such as `DPoP` (RFC 9110, section 11.4).
    ///
    /// # Errors
    /// As [`bearer`](Self::bearer), and when the scheme is not a word.
    pub fn authorization(
        self,
        scheme: &str,
        token: impl Into<SecretString>,
    ) -> Result<Self, InvalidHeader> {
        if scheme.eq_ignore_ascii_case("bearer") {
            return self.bearer(token);
        }
        let value = header::authorization_value(scheme, &token.into())?;
        self.push(http::header::AUTHORIZATION, value, true)
    }

    /// Adds a header, such as `X-API-Key`.
    ///
    /// # Errors
    /// When the name is malformed or reserved for the protocol, the value cannot stand in a header,
    /// or the header is already there.
    pub fn header(self, name: &str, value: impl Into<SecretString>) -> Result<Self, InvalidHeader> {
        let name = header::name(name)?;
        let value = header::value(&name, &value.into())?;
        self.push(name, value, true)
    }

    /// Adds a header that is new at every request, such as a trace id or a proof of possession:
    /// it is sent, and does not change the fingerprint.
    ///
    /// # Errors
    /// As [`CredentialsBuilder::header`].
    pub fn volatile_header(
        self,
        name: &str,
        value: impl Into<SecretString>,
    ) -> Result<Self, InvalidHeader> {
        let name = header::name(name)?;
        let value = header::value(&name, &value.into())?;
        self.push(name, value, false)
    }

    /// When the credentials stop being valid. The earliest of several wins.
    pub fn expires_at(mut self, instant: Instant) -> Self {
        self.expires_at = Some(self.expires_at.map_or(instant, |known| known.min(instant)));
        self
    }

    /// Takes over all headers and the end of other credentials; volatile ones stay volatile.
    ///
    /// # Errors
    /// When both have a header of the same name.
    pub fn merge(mut self, other: &Credentials) -> Result<Self, InvalidHeader> {
        for (index, (name, value)) in other.headers().iter().enumerate() {
            self = self.push(name.clone(), value.clone(), index < other.0.lasting)?;
        }
        if let Some(secret) = &other.0.beside {
            self = self.beside(secret);
        }
        Ok(match other.expires_at() {
            Some(instant) => self.expires_at(instant),
            None => self,
        })
    }

    /// Adds a secret that travels in another way than a header, such as a variable of a child
    /// process: nothing is sent for it, and it is part of the fingerprint.
    pub fn beside(mut self, secret: &Fingerprint) -> Self {
        let before = self.beside.take();
        self.beside = Some(Fingerprint::combined(before.into_iter().chain([*secret])));
        self
    }

    /// The credentials.
    ///
    /// # Errors
    /// None today; a `Result` so that checks across headers can be added.
    pub fn build(self) -> Result<Credentials, InvalidHeader> {
        let sent = if self.headers.is_empty() {
            Fingerprint::anonymous()
        } else {
            let lasting = self.headers.get(..self.lasting).unwrap_or(&self.headers);
            Fingerprint::of(
                lasting
                    .iter()
                    .flat_map(|(name, value)| [name.as_str().as_bytes(), value.as_bytes()]),
            )
        };
        let fingerprint = match self.beside {
            Some(beside) => Fingerprint::combined([sent, beside]),
            None => sent,
        };
        Ok(Credentials(Arc::new(Inner {
            headers: self.headers.into_boxed_slice(),
            lasting: self.lasting,
            fingerprint,
            expires_at: self.expires_at,
            parts: self.parts,
            beside: self.beside,
        })))
    }

    fn push(
        mut self,
        name: HeaderName,
        value: HeaderValue,
        lasting: bool,
    ) -> Result<Self, InvalidHeader> {
        if self.headers.iter().any(|(known, _)| *known == name) {
            return Err(InvalidHeader::new(
                name.as_str(),
                InvalidHeaderReason::Conflict,
            ));
        }
        if lasting {
            self.headers.insert(self.lasting, (name, value));
            self.lasting += 1;
        } else {
            self.headers.push((name, value));
        }
        Ok(self)
    }
}

impl fmt::Debug for CredentialsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialsBuilder")
            .field("headers", &HeaderNames(&self.headers))
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// Shows names only.
struct HeaderNames<'a>(&'a [(HeaderName, HeaderValue)]);

impl fmt::Debug for HeaderNames<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(name, _)| name.as_str()))
            .finish()
    }
}

#[cfg(test)]
mod tests;
