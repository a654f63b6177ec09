//! Two providers whose headers go out together.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use http::{HeaderName, HeaderValue};

use crate::header::{InvalidHeader, InvalidHeaderReason};
use crate::{
    CredentialError, CredentialProvider, CredentialRequest, Credentials, MaybeReady, Principal,
    Recovery, Rejection, ServerId, SharedProvider,
};

/// The bearer token of one provider with the headers of another.
///
/// ```
/// use mcp_auth::{Bearer, Combined, Headers};
///
/// let provider = Combined::new(
///     Bearer::new("test-token")?,
///     Headers::new([("X-Tenant-Id", "acme")])?,
/// )?;
/// assert!(Combined::new(Bearer::new("test-a")?, Bearer::new("test-b")?).is_err());
/// # Ok::<(), mcp_auth::InvalidHeader>(())
/// ```
///
/// After a rejection both are told of their own part; it is retried if either has something new.
#[derive(Debug)]
pub struct Combined {
    first: SharedProvider,
    second: SharedProvider,
    /// The last combination: while both give what they gave, nothing is made anew.
    last: ArcSwapOption<Credentials>,
}

impl Combined {
    /// Combines two providers.
    ///
    /// # Errors
    /// When both are known to set the same header. If that shows only in their answers, asking for
    /// credentials fails with a misconfiguration.
    pub fn new(
        first: impl CredentialProvider + 'static,
        second: impl CredentialProvider + 'static,
    ) -> Result<Self, InvalidHeader> {
        let known = first.header_names();
        if let Some(twice) = second
            .header_names()
            .iter()
            .find(|name| known.contains(name))
        {
            return Err(InvalidHeader::new(
                twice.as_str(),
                InvalidHeaderReason::Conflict,
            ));
        }
        Ok(Self {
            first: Arc::new(first),
            second: Arc::new(second),
            last: ArcSwapOption::empty(),
        })
    }

    /// Adds a third, and so on.
    ///
    /// # Errors
    /// As [`Combined::new`].
    pub fn and(self, next: impl CredentialProvider + 'static) -> Result<Self, InvalidHeader> {
        Self::new(self, next)
    }

    fn combine(
        &self,
        first: Credentials,
        second: Credentials,
    ) -> Result<Credentials, CredentialError> {
        if first.is_volatile() || second.is_volatile() {
            return Ok(Credentials::combined(first, second)?);
        }
        if let Some(last) = &*self.last.load()
            && let Some([one, other]) = last.parts()
            && one.same(&first)
            && other.same(&second)
        {
            return Ok(Credentials::clone(last));
        }
        let combined = Credentials::combined(first, second)?;
        self.last.store(Some(Arc::new(combined.clone())));
        Ok(combined)
    }
}

impl CredentialProvider for Combined {
    fn credentials<'a>(
        &'a self,
        request: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<Credentials, CredentialError>> {
        let first = self.first.credentials(request).now();
        let second = self.second.credentials(request).now();
        match (first, second) {
            (Ok(Ok(first)), Ok(Ok(second))) => MaybeReady::ready(self.combine(first, second)),
            (Ok(Err(error)), _) | (_, Ok(Err(error))) => MaybeReady::ready(Err(error)),
            (first, second) => MaybeReady::new(async move {
                let first = match first {
                    Ok(ready) => ready,
                    Err(pending) => pending.await,
                }?;
                let second = match second {
                    Ok(ready) => ready,
                    Err(pending) => pending.await,
                }?;
                self.combine(first, second)
            }),
        }
    }

    fn rejected<'a>(
        &'a self,
        rejection: Rejection<'a>,
    ) -> MaybeReady<'a, Result<Recovery, CredentialError>> {
        let Some([first, second]) = rejection.credentials.parts() else {
            // Not ours: whatever we have now is something else.
            return MaybeReady::ready(Ok(Recovery::Retry));
        };
        MaybeReady::new(async move {
            let part = |credentials| Rejection {
                credentials,
                ..rejection
            };
            let first = self.first.rejected(part(first)).await;
            let second = self.second.rejected(part(second)).await;
            match (first, second) {
                (Ok(Recovery::Retry), _) | (_, Ok(Recovery::Retry)) => Ok(Recovery::Retry),
                (Ok(Recovery::GiveUp), other) | (other, Ok(Recovery::GiveUp)) => other,
                (first, _) => first,
            }
        })
    }

    fn nonce(&self, request: CredentialRequest<'_>, nonce: &HeaderValue) {
        self.first.nonce(request, nonce);
        self.second.nonce(request, nonce);
    }

    fn logged_out<'a>(
        &'a self,
        request: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<(), CredentialError>> {
        self.last.store(None);
        MaybeReady::new(async move {
            let first = self.first.logged_out(request).await;
            let second = self.second.logged_out(request).await;
            first.and(second)
        })
    }

    fn logged_out_elsewhere(&self, server: &ServerId, whom: &dyn Fn(&Principal) -> bool) {
        self.last.store(None);
        self.first.logged_out_elsewhere(server, whom);
        self.second.logged_out_elsewhere(server, whom);
    }

    fn header_names(&self) -> Vec<HeaderName> {
        let mut names = self.first.header_names();
        names.extend(self.second.header_names());
        names
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use http::StatusCode;

    use super::*;
    use crate::testing::ScriptedSource;
    use crate::{Bearer, Headers, Principal, RefreshingToken, ServerId, from_fn};

    async fn ask(provider: &dyn CredentialProvider) -> Result<Credentials, CredentialError> {
        let (server, alice) = (ServerId::new("s").unwrap(), Principal::local());
        let request = CredentialRequest::new(&server, &alice);
        provider.credentials(request).await
    }

    async fn reject(provider: &dyn CredentialProvider, refused: &Credentials) -> Recovery {
        let (server, alice) = (ServerId::new("s").unwrap(), Principal::local());
        let request = CredentialRequest::new(&server, &alice);
        let rejection = Rejection::new(request, refused, StatusCode::UNAUTHORIZED);
        provider.rejected(rejection).await.unwrap()
    }

    fn tenant() -> Headers {
        Headers::new([("X-Tenant-Id", "acme")]).unwrap()
    }

    #[tokio::test]
    async fn each_is_told_of_its_own_part() {
        let source = ScriptedSource::new();
        let count = AtomicU32::new(0);
        let trace = from_fn(move |_| {
            let number = count.fetch_add(1, Ordering::SeqCst).to_string();
            let builder = Credentials::builder().volatile_header("X-Trace", number)?;
            Ok(builder.build()?)
        });
        let provider = Combined::new(RefreshingToken::new(source.clone()), tenant())
            .unwrap()
            .and(trace)
            .unwrap();
        let first = ask(&provider).await.unwrap();
        let names: Vec<_> = first
            .headers()
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(names, ["authorization", "x-tenant-id", "x-trace"]);
        assert!(first.expires_at().is_some());
        // The same credentials to every eye, with a trace of their own.
        let next = ask(&provider).await.unwrap();
        assert_eq!(first, next);
        assert_ne!(first.headers()[2].1, next.headers()[2].1);
        assert_eq!(reject(&provider, &first).await, Recovery::Retry);
        let second = ask(&provider).await.unwrap();
        assert_ne!(first, second);
        // Late news of the first one.
        assert_eq!(reject(&provider, &first).await, Recovery::Retry);
        assert_eq!(second, ask(&provider).await.unwrap());
        assert_eq!(source.calls(), 2);
    }

    #[tokio::test]
    async fn logs_know_the_token_by_the_name_that_its_refresh_gave_it() {
        let bearer = Bearer::new("test-token").unwrap();
        let token = ask(&bearer).await.unwrap().fingerprint();
        let both = Combined::new(bearer, tenant())
            .unwrap()
            .and(Headers::new([("X-Own", "1")]).unwrap());
        let both = ask(&both.unwrap()).await.unwrap();
        assert_eq!(both.renewed_fingerprint(), token);
        assert_ne!(both.fingerprint(), token);
    }

    #[tokio::test]
    async fn static_parts_give_up() {
        let bearer = Bearer::new("test-token").unwrap();
        let provider = Combined::new(bearer, tenant()).unwrap();
        let refused = ask(&provider).await.unwrap();
        assert_eq!(reject(&provider, &refused).await, Recovery::GiveUp);
    }

    #[tokio::test]
    async fn conflicts_show_when_made_or_when_asked() {
        let refreshing = || RefreshingToken::new(ScriptedSource::new());
        let error = Combined::new(refreshing(), Bearer::new("canary").unwrap()).unwrap_err();
        assert_eq!(error.reason(), InvalidHeaderReason::Conflict);
        assert_eq!(error.name(), "authorization");
        let hidden = from_fn(|_| Ok(Credentials::bearer("canary")?));
        let provider = Combined::new(refreshing(), hidden).unwrap();
        let error = ask(&provider).await.unwrap_err();
        assert!(!error.is_transient());
        assert!(!format!("{error:?}").contains("canary"));
    }
}
