//! Several headers that do not change.

use http::HeaderName;
use secrecy::SecretString;

use crate::{
    CredentialError, CredentialProvider, CredentialRequest, Credentials, InvalidHeader, MaybeReady,
};

/// Headers such as `X-API-Key` and `X-Tenant-Id`, every value treated as a secret.
///
/// ```
/// let provider = mcp_auth::Headers::new([("X-API-Key", "test-key"), ("X-Tenant-Id", "acme")])?;
/// # Ok::<(), mcp_auth::InvalidHeader>(())
/// ```
#[derive(Clone, Debug)]
pub struct Headers(Credentials);

impl Headers {
    /// A provider of these headers.
    ///
    /// # Errors
    /// When a name is malformed, reserved or given twice, or a value cannot stand in a header.
    pub fn new<N, V>(headers: impl IntoIterator<Item = (N, V)>) -> Result<Self, InvalidHeader>
    where
        N: AsRef<str>,
        V: Into<SecretString>,
    {
        let mut builder = Credentials::builder();
        for (name, value) in headers {
            builder = builder.header(name.as_ref(), value)?;
        }
        builder.build().map(Self)
    }
}

/// Credentials that were made elsewhere and do not change.
impl From<Credentials> for Headers {
    fn from(credentials: Credentials) -> Self {
        Self(credentials)
    }
}

impl CredentialProvider for Headers {
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
