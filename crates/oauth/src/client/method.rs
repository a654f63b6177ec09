//! How a client authenticates, by the names that metadata and registrations use.

/// How a client proves itself at the token endpoint (OpenID Connect Core, section 9).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ClientAuthMethod {
    /// A public client: the id alone.
    None,
    /// The secret in the `Authorization` header.
    ClientSecretBasic,
    /// The secret in the body.
    ClientSecretPost,
    /// A JWT signed with the client's key.
    PrivateKeyJwt,
}

impl ClientAuthMethod {
    /// Its registered name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }

    /// By its registered name.
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Self::None,
            Self::ClientSecretBasic,
            Self::ClientSecretPost,
            Self::PrivateKeyJwt,
        ]
        .into_iter()
        .find(|method| method.as_str() == name)
    }
}

/// The audience of the client's own assertions.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum AssertionAudience {
    /// The authorization server's issuer identifier.
    #[default]
    Issuer,
    /// The URL of its token endpoint.
    TokenEndpoint,
}
