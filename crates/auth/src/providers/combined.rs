//! Two providers whose headers go out together.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use http::{HeaderName, HeaderValue};

use crate::header::{InvalidHeader, InvalidHeaderReason};
use crate::{
    CredentialError, CredentialProvider, CredentialRequest, Credentials, MaybeReady, Recovery,
    Rejection, SharedProvider,
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

    fn header_names(&self) -> Vec<HeaderName> {
        let mut names = self.first.header_names();
        names.extend(self.second.header_names());
        names
    }
}
