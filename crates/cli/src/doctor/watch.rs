//! A provider that remembers what went out and what came back, so that it can be told.

use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, StatusCode};
use mcp_auth::{
    Challenge, CredentialError, CredentialProvider, CredentialRequest, Credentials, Fingerprint,
    MaybeReady, Recovery, Rejection, SharedProvider,
};

use super::token::Claims;

/// Stands before the server's own provider.
#[derive(Debug)]
pub(crate) struct Watch {
    inner: SharedProvider,
    seen: Mutex<Seen>,
}

/// What went out last, and what was refused.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// How it is known in logs; `None` before anything was sent, or where nothing was to send.
    pub(crate) sent: Option<Fingerprint>,
    /// The names of the headers.
    pub(crate) headers: Vec<String>,
    /// What the token says of itself, if it can be read.
    pub(crate) claims: Option<Claims>,
    pub(crate) refusals: Vec<Refusal>,
}

/// A 401 or 403.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) challenges: Vec<Challenge>,
}

impl Watch {
    pub(crate) fn new(inner: SharedProvider) -> Self {
        let seen = Mutex::default();
        Self { inner, seen }
    }

    pub(crate) fn seen(&self) -> Seen {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, credentials: &Credentials) {
        let mut seen = self.lock();
        let headers = credentials.headers();
        seen.sent = (!credentials.is_anonymous()).then(|| credentials.renewed_fingerprint());
        seen.headers = headers.iter().map(|(name, _)| name.to_string()).collect();
        let authorization = headers.iter().find(|(name, _)| *name == AUTHORIZATION);
        let authorization = authorization.and_then(|(_, value)| value.to_str().ok());
        seen.claims = authorization.and_then(Claims::of);
    }
}

impl CredentialProvider for Watch {
    fn credentials<'a>(
        &'a self,
        request: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<Credentials, CredentialError>> {
        MaybeReady::new(async move {
            let credentials = self.inner.credentials(request).await?;
            self.note(&credentials);
            Ok(credentials)
        })
    }

    fn rejected<'a>(
        &'a self,
        rejection: Rejection<'a>,
    ) -> MaybeReady<'a, Result<Recovery, CredentialError>> {
        self.lock().refusals.push(Refusal {
            status: rejection.status,
            challenges: rejection.challenges.to_vec(),
        });
        self.inner.rejected(rejection)
    }

    fn nonce(&self, request: CredentialRequest<'_>, nonce: &HeaderValue) {
        self.inner.nonce(request, nonce);
    }

    fn header_names(&self) -> Vec<HeaderName> {
        self.inner.header_names()
    }
}

impl Seen {
    /// What was sent, in words without a secret.
    pub(crate) fn sent_words(&self) -> String {
        match self.sent {
            Some(fingerprint) => {
                format!("sent {} ({fingerprint})", self.headers.join(", "))
            }
            None => "sent nothing".to_owned(),
        }
    }

    /// The latest challenge, in words.
    pub(crate) fn challenge_words(&self) -> Option<String> {
        let refusal = self.refusals.last()?;
        let mut words = format!("the server answered {}", refusal.status.as_u16());
        for challenge in &refusal.challenges {
            words.push_str(": ");
            words.push_str(challenge.scheme());
            for name in ["error", "error_description", "scope", "resource_metadata"] {
                if let Some(value) = challenge.parameter(name) {
                    let _written = write!(words, " {name}=\"{value}\"");
                }
            }
        }
        Some(words)
    }

    /// Whether a challenge says so, whatever its case.
    pub(crate) fn challenge_says(&self, part: &str) -> bool {
        let mut challenges = self.refusals.iter().flat_map(|it| &it.challenges);
        challenges.any(|challenge| {
            let said = ["error", "error_description"].map(|name| challenge.parameter(name));
            let mut said = said.into_iter().flatten();
            said.any(|text| text.to_ascii_lowercase().contains(part))
        })
    }

    /// Where the latest challenge says that the resource's metadata is.
    pub(crate) fn resource_metadata(&self) -> Option<&str> {
        let mut challenges = self.refusals.iter().rev().flat_map(|it| &it.challenges);
        challenges.find_map(Challenge::resource_metadata)
    }
}
