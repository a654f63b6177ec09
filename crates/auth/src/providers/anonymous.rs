//! No credentials at all.

use crate::{CredentialError, CredentialProvider, CredentialRequest, Credentials, MaybeReady};

/// Sends nothing, for a server that asks for nothing.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Anonymous;

impl Anonymous {
    /// A provider of nothing.
    pub fn new() -> Self {
        Self
    }
}

impl CredentialProvider for Anonymous {
    fn credentials<'a>(
        &'a self,
        _: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<Credentials, CredentialError>> {
        MaybeReady::ready(Ok(Credentials::anonymous()))
    }
}
