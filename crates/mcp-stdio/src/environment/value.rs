//! Where the value of a variable comes from, and what it is.

use std::fmt;

use mcp_auth::{
    Contained, CredentialProvider as _, CredentialRequest, Credentials, Principal, SecretRef,
    SecretScope, SecretString, ServerId, SharedProvider,
};
use mcp_core::Error;

/// Where the value of a variable comes from.
#[derive(Clone)]
#[non_exhaustive]
pub enum EnvValue {
    /// A secret, or a reference to one, resolved when a child is started and looked at again from
    /// time to time.
    Secret(SecretRef),
    /// The principal's own credential: the token of its `Authorization: Bearer` header, or the
    /// value of its only other header. Asked for at each use; when it has changed, the child is
    /// replaced.
    Credential(SharedProvider),
}

impl From<&str> for EnvValue {
    fn from(value: &str) -> Self {
        Self::Secret(SecretRef::literal(value))
    }
}

impl From<String> for EnvValue {
    fn from(value: String) -> Self {
        Self::Secret(SecretRef::literal(value))
    }
}

impl From<SecretString> for EnvValue {
    fn from(value: SecretString) -> Self {
        Self::Secret(SecretRef::literal(value))
    }
}

impl From<SecretRef> for EnvValue {
    fn from(value: SecretRef) -> Self {
        Self::Secret(value)
    }
}

impl From<SharedProvider> for EnvValue {
    fn from(provider: SharedProvider) -> Self {
        Self::Credential(provider)
    }
}

impl fmt::Debug for EnvValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(reference) => reference.fmt(f),
            Self::Credential(_) => f.write_str("Credential"),
        }
    }
}

pub(super) async fn resolve_secret(
    name: &str,
    reference: &SecretRef,
    scope: &SecretScope,
) -> Result<SecretString, Error> {
    reference.resolve_in(scope).await.map_err(|error| {
        if error.is_transient() {
            return mcp_auth::CredentialError::from(error).into();
        }
        let message = format!("the variable `{name}` cannot be given: {error}");
        Error::config_because(message, error)
    })
}

pub(super) async fn ask(
    provider: &SharedProvider,
    server: &ServerId,
    principal: &Principal,
) -> Result<Credentials, Error> {
    let request = CredentialRequest::new(server, principal);
    let provider = Contained::new(SharedProvider::clone(provider));
    Ok(provider.credentials(request).await?)
}

/// The credential without the header around it.
pub(super) fn bare(name: &str, credentials: &Credentials) -> Result<SecretString, Error> {
    let [(header, value)] = credentials.headers() else {
        return Err(Error::config(format!(
            "the credentials for the variable `{name}` are not one value"
        )));
    };
    let value = value.to_str().map_err(|_| {
        Error::config(format!(
            "the credentials for the variable `{name}` are not text"
        ))
    })?;
    let token = match value.split_once(' ') {
        Some((scheme, token))
            if header.as_str() == "authorization" && scheme.eq_ignore_ascii_case("bearer") =>
        {
            token
        }
        _ => value,
    };
    Ok(SecretString::from(token))
}
