//! A provider whose panics are errors of the one request they happened in.

use http::{HeaderName, HeaderValue};

use crate::{
    CredentialError, CredentialProvider, CredentialRequest, Credentials, MaybeReady, Principal,
    Recovery, Rejection, ServerId, panics,
};

/// Asks somebody's provider, and survives its panics: an answer that panics, at once or while it is
/// awaited, is [`CredentialErrorKind::Unavailable`](crate::CredentialErrorKind), and news that it
/// panics over are lost on it alone. What a panic says may hold the token and goes no further than
/// the panic hook.
///
/// Transports and the toolkit put this around what they are given. Whoever asks providers on their own
/// does so, too. An answer that is ready costs nothing more; one that is awaited costs an allocation.
///
/// ```
/// use mcp_auth::{Contained, CredentialErrorKind, CredentialProvider, CredentialRequest};
/// # use mcp_auth::{CredentialError, Credentials, MaybeReady, Principal, ServerId};
///
/// #[derive(Debug)]
/// struct Broken;
///
/// impl CredentialProvider for Broken {
///     fn credentials<'a>(
///         &'a self,
///         _: CredentialRequest<'a>,
///     ) -> MaybeReady<'a, Result<Credentials, CredentialError>> {
///         panic!("no entry for this user")
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (server, alice) = (ServerId::new("github")?, Principal::new("alice")?);
/// let provider = Contained::new(Broken);
/// let error = provider.credentials(CredentialRequest::new(&server, &alice)).await.unwrap_err();
/// assert!(matches!(error.kind(), CredentialErrorKind::Unavailable { .. }));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Contained<P>(P);

impl<P: CredentialProvider> Contained<P> {
    /// Around a provider, or a [`SharedProvider`](crate::SharedProvider).
    pub fn new(provider: P) -> Self {
        Self(provider)
    }
}

impl<P: CredentialProvider> CredentialProvider for Contained<P> {
    fn credentials<'a>(
        &'a self,
        request: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<Credentials, CredentialError>> {
        answer(|| self.0.credentials(request))
    }

    fn rejected<'a>(
        &'a self,
        rejection: Rejection<'a>,
    ) -> MaybeReady<'a, Result<Recovery, CredentialError>> {
        answer(|| self.0.rejected(rejection))
    }

    fn nonce(&self, request: CredentialRequest<'_>, nonce: &HeaderValue) {
        panics::silenced(|| self.0.nonce(request, nonce));
    }

    fn logged_out<'a>(
        &'a self,
        request: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<(), CredentialError>> {
        answer(|| self.0.logged_out(request))
    }

    fn logged_out_elsewhere(&self, server: &ServerId, whom: &dyn Fn(&Principal) -> bool) {
        panics::silenced(|| self.0.logged_out_elsewhere(server, whom));
    }

    fn header_names(&self) -> Vec<HeaderName> {
        panics::silenced(|| self.0.header_names()).unwrap_or_default()
    }
}

fn answer<'a, T: Unpin + Send + 'a>(
    ask: impl FnOnce() -> MaybeReady<'a, Result<T, CredentialError>>,
) -> MaybeReady<'a, Result<T, CredentialError>> {
    match panics::caught(|| Ok(ask())).map(MaybeReady::now) {
        Ok(Ok(ready)) => MaybeReady::ready(ready),
        Ok(Err(pending)) => MaybeReady::new(panics::awaited(pending)),
        Err(error) => MaybeReady::ready(Err(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::StatusCode;

    use super::*;
    use crate::{Bearer, CredentialErrorKind, SharedProvider};

    /// Panics at once, or when it is awaited, whatever it is asked or told.
    #[derive(Debug)]
    struct Panicking {
        later: bool,
    }

    impl Panicking {
        fn answer<T: Send + 'static>(&self) -> MaybeReady<'static, Result<T, CredentialError>> {
            assert!(self.later, "test-token-canary");
            MaybeReady::new(async { panic!("test-token-canary") })
        }
    }

    impl CredentialProvider for Panicking {
        fn credentials<'a>(
            &'a self,
            _: CredentialRequest<'a>,
        ) -> MaybeReady<'a, Result<Credentials, CredentialError>> {
            self.answer()
        }

        fn rejected<'a>(
            &'a self,
            _: Rejection<'a>,
        ) -> MaybeReady<'a, Result<Recovery, CredentialError>> {
            self.answer()
        }

        fn nonce(&self, _: CredentialRequest<'_>, _: &HeaderValue) {
            panic!("test-token-canary")
        }

        fn logged_out<'a>(
            &'a self,
            _: CredentialRequest<'a>,
        ) -> MaybeReady<'a, Result<(), CredentialError>> {
            self.answer()
        }

        fn logged_out_elsewhere(&self, _: &ServerId, _: &dyn Fn(&Principal) -> bool) {
            panic!("test-token-canary")
        }

        fn header_names(&self) -> Vec<HeaderName> {
            panic!("test-token-canary")
        }
    }

    fn is_contained<T>(answer: Result<T, CredentialError>) {
        let error = answer.map(drop).unwrap_err();
        assert!(matches!(
            error.kind(),
            CredentialErrorKind::Unavailable { .. }
        ));
        assert!(!format!("{error} {error:?}").contains("canary"));
    }

    #[tokio::test]
    async fn every_panic_of_a_provider_is_its_own() {
        let server = ServerId::new("test-server").unwrap();
        let alice = Principal::new("alice").unwrap();
        let request = CredentialRequest::new(&server, &alice);
        let sent = Credentials::bearer("test-token-alice").unwrap();
        for later in [false, true] {
            let shared: SharedProvider = Arc::new(Panicking { later });
            let provider = Contained::new(shared);
            is_contained(provider.credentials(request).await);
            let rejection = Rejection::new(request, &sent, StatusCode::UNAUTHORIZED);
            is_contained(provider.rejected(rejection).await);
            is_contained(provider.logged_out(request).await);
            provider.nonce(request, &HeaderValue::from_static("n-1"));
            provider.logged_out_elsewhere(&server, &|_| true);
            assert!(provider.header_names().is_empty());
        }
    }

    #[tokio::test]
    async fn what_is_ready_stays_so() {
        let server = ServerId::new("test-server").unwrap();
        let alice = Principal::new("alice").unwrap();
        let provider = Contained::new(Bearer::new("test-token-alice").unwrap());
        let answer = provider.credentials(CredentialRequest::new(&server, &alice));
        assert!(answer.now().unwrap().is_ok());
        assert_eq!(provider.header_names(), [http::header::AUTHORIZATION]);
    }
}
