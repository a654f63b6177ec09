//! A secret reference together with the place where it stands.

use std::fmt;

use mcp_auth::{CredentialError, SecretError, SecretRef, SecretScope, SecretString};
use mcp_core::Error;

use super::error::{ConfigError, Place};

/// A reference to a secret that remembers its place, so that a variable that turns out to be unset
/// is reported with server and field.
#[derive(Clone, Debug)]
pub struct ConfiguredSecret {
    reference: SecretRef,
    place: Place,
}

impl ConfiguredSecret {
    pub(crate) fn at(reference: SecretRef, place: Place) -> Self {
        Self { reference, place }
    }

    /// A reference that stands in no file, but in the field or option of this name.
    pub fn named(reference: SecretRef, server: &str, field: &str) -> Self {
        let place = Place {
            server: Some(server.into()),
            field: Some(field.into()),
            ..Place::default()
        };
        Self { reference, place }
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// The reference.
    pub fn reference(&self) -> &SecretRef {
        &self.reference
    }

    /// The value at present.
    ///
    /// # Errors
    /// [`Failure::Config`](mcp_core::Failure) when a variable is unset or a file cannot be read:
    /// the error names server, field and reference. [`Failure::Credential`](mcp_core::Failure) when
    /// trying again may help, such as after a command that failed.
    pub async fn resolve(&self, scope: &SecretScope) -> Result<SecretString, Error> {
        let resolved = self.reference.resolve_in(scope).await;
        resolved.map_err(|error| self.error(error))
    }

    fn error(&self, error: SecretError) -> Error {
        if error.is_transient() {
            let message = format!("{}the secret cannot be had", self.place);
            return CredentialError::unavailable(message)
                .with_source(error)
                .into();
        }
        // All of it is the problem's own words, so that it stands on the first line.
        let problem = match std::error::Error::source(&error) {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        };
        ConfigError::new(self.place.clone(), problem).into()
    }

    /// A mistake at this place.
    pub(crate) fn wrong(&self, source: impl std::error::Error + Send + Sync + 'static) -> Error {
        ConfigError::new(self.place.clone(), "cannot be sent")
            .because(source)
            .into()
    }
}

impl fmt::Display for ConfiguredSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reference.fmt(f)
    }
}
