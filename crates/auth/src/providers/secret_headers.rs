//! Headers whose values are references.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;

use crate::header::{self, InvalidHeader, InvalidHeaderReason};
use crate::refresh::{Engine, Fetch, FetchContext, FetchFuture, Fetched, Life};
use crate::secret::{SecretKind, SecretRef, SecretScope};
use crate::{
    CredentialError, CredentialProvider, CredentialRequest, Credentials, MaybeReady, Recovery,
    Rejection,
};

/// A file is read again when what was read is this old, while calls go on with it…
const CHECK: Duration = Duration::from_secs(1);
/// …and when it is this old, before the call.
const STALE: Duration = Duration::from_secs(5);

/// A bearer token, headers or both, out of variables, files and commands.
///
/// Values are resolved at the first call. A file is read again at most 5 seconds later, so that a
/// mounted secret may be replaced under a running process; a command runs again when a server
/// answers 401.
///
/// ```
/// use mcp_auth::{SecretHeaders, SecretRef};
///
/// let provider = SecretHeaders::new()
///     .bearer(SecretRef::file("/run/secrets/token"))?
///     .header("X-Tenant-Id", SecretRef::template("${TENANT:-acme}")?)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SecretHeaders {
    references: Arc<References>,
    engine: Engine,
}

impl Default for SecretHeaders {
    fn default() -> Self {
        Self::new()
    }
}

impl SecretHeaders {
    /// No headers yet.
    pub fn new() -> Self {
        let references = Arc::new(References::default());
        Self {
            engine: Engine::new(Arc::<References>::clone(&references)),
            references,
        }
    }

    /// Adds `Authorization: Bearer <token>`.
    ///
    /// # Errors
    /// When `Authorization` is already there.
    pub fn bearer(self, token: SecretRef) -> Result<Self, InvalidHeader> {
        self.push(http::header::AUTHORIZATION, token, true)
    }

    /// Adds a header.
    ///
    /// # Errors
    /// When the name is malformed, reserved for the protocol or already there. What the reference
    /// gives is checked when it is resolved.
    pub fn header(self, name: &str, value: SecretRef) -> Result<Self, InvalidHeader> {
        self.push(header::name(name)?, value, false)
    }

    /// Resolves in these surroundings.
    pub fn scope(self, scope: SecretScope) -> Self {
        self.change(|references| references.scope = scope)
    }

    fn push(self, name: HeaderName, value: SecretRef, bearer: bool) -> Result<Self, InvalidHeader> {
        if self
            .references
            .headers
            .iter()
            .any(|(known, ..)| *known == name)
        {
            return Err(InvalidHeader::new(
                name.as_str(),
                InvalidHeaderReason::Conflict,
            ));
        }
        Ok(self.change(|references| references.headers.push((name, value, bearer))))
    }

    fn change(mut self, change: impl FnOnce(&mut References)) -> Self {
        change(Arc::make_mut(&mut self.references));
        self.engine
            .set_fetch(Arc::<References>::clone(&self.references));
        self
    }
}

impl CredentialProvider for SecretHeaders {
    fn credentials<'a>(
        &'a self,
        _: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<Credentials, CredentialError>> {
        self.engine.credentials()
    }

    fn rejected<'a>(
        &'a self,
        rejection: Rejection<'a>,
    ) -> MaybeReady<'a, Result<Recovery, CredentialError>> {
        if self.references.are_fixed() {
            return MaybeReady::ready(Ok(Recovery::GiveUp));
        }
        self.engine.rejected(rejection)
    }

    fn header_names(&self) -> Vec<HeaderName> {
        let headers = self.references.headers.iter();
        headers.map(|(name, ..)| name.clone()).collect()
    }
}

#[derive(Clone, Debug, Default)]
struct References {
    /// Whether the value is a token that goes behind `Bearer`.
    headers: Vec<(HeaderName, SecretRef, bool)>,
    scope: SecretScope,
}

impl References {
    /// Whether resolving them again would give the same.
    fn are_fixed(&self) -> bool {
        self.headers.iter().all(|(_, reference, _)| {
            matches!(
                reference.kind(),
                SecretKind::Literal | SecretKind::Environment
            )
        })
    }

    fn have_files(&self) -> bool {
        self.headers
            .iter()
            .any(|(_, reference, _)| reference.kind() == SecretKind::File)
    }
}

impl Fetch for References {
    fn fetch(&self, context: FetchContext) -> FetchFuture<'_> {
        Box::pin(async move {
            let mut builder = Credentials::builder();
            for (name, reference, bearer) in &self.headers {
                let value = reference.resolve_in(&self.scope).await?;
                builder = if *bearer {
                    builder.bearer(value)?
                } else {
                    builder.header(name.as_str(), value)?
                };
            }
            let now = context.clock.now();
            let files = self.have_files();
            Ok(Fetched {
                credentials: builder.build()?,
                life: Life {
                    refresh_at: files.then(|| now + CHECK),
                    usable_until: files.then(|| now + STALE),
                    expires_at: None,
                },
                adopted: false,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::{Principal, ServerId};

    #[tokio::test(start_paused = true)]
    async fn a_replaced_file_is_noticed_and_a_401_reads_it_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let write = |token: &str| std::fs::write(&path, token).unwrap();
        let provider = SecretHeaders::new().bearer(SecretRef::file(&path)).unwrap();
        let (server, alice) = (ServerId::new("s").unwrap(), Principal::local());
        let request = CredentialRequest::new(&server, &alice);
        let is = |found: &Credentials, token: &str| *found == Credentials::bearer(token).unwrap();

        write("test-token-1\n");
        let first = provider.credentials(request).await.unwrap();
        assert!(is(&first, "test-token-1"));
        write("test-token-2\n");
        assert!(is(
            &provider.credentials(request).await.unwrap(),
            "test-token-1"
        ));
        tokio::time::advance(STALE).await;
        let second = provider.credentials(request).await.unwrap();
        assert!(is(&second, "test-token-2"));

        write("test-token-3\n");
        let rejection = Rejection::new(request, &second, StatusCode::UNAUTHORIZED);
        assert_eq!(provider.rejected(rejection).await.unwrap(), Recovery::Retry);
        let third = provider.credentials(request).await.unwrap();
        assert!(is(&third, "test-token-3"));
        // The file has nothing newer: the server's word stands.
        let rejection = Rejection::new(request, &third, StatusCode::UNAUTHORIZED);
        assert_eq!(
            provider.rejected(rejection).await.unwrap(),
            Recovery::GiveUp
        );
    }

    #[tokio::test]
    async fn what_is_missing_is_named() {
        let provider = SecretHeaders::new()
            .header(
                "X-Api-Key",
                SecretRef::env("SURELY_UNSET_VARIABLE").unwrap(),
            )
            .unwrap();
        let (server, alice) = (ServerId::new("s").unwrap(), Principal::local());
        let request = CredentialRequest::new(&server, &alice);
        let error = provider.credentials(request).await.unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("SURELY_UNSET_VARIABLE"), "{source}");
        assert!(!error.is_transient());
    }
}
