//! One bearer token that does not change.

use http::HeaderName;
use secrecy::SecretString;

use crate::{
    CredentialError, CredentialProvider, CredentialRequest, Credentials, InvalidHeader, MaybeReady,
};

/// `Authorization: Bearer <token>` with a token that stays the same.
///
/// A server that refuses it gets no second try: the error says that the token is static. For a
/// token that ends, use [`RefreshingToken`](crate::RefreshingToken).
#[derive(Clone, Debug)]
pub struct Bearer(Credentials);

impl Bearer {
    /// A provider of this token. A leading `Bearer ` and spaces around it are dropped.
    ///
    /// # Errors
    /// When the token is empty or holds characters that cannot stand in it.
    pub fn new(token: impl Into<SecretString>) -> Result<Self, InvalidHeader> {
        Credentials::bearer(token).map(Self)
    }
}

impl CredentialProvider for Bearer {
    fn credentials<'a>(
        &'a self,
        _: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<Credentials, CredentialError>> {
        MaybeReady::ready(Ok(self.0.clone()))
    }

    fn header_names(&self) -> Vec<HeaderName> {
        self.0.names()
    }
}
