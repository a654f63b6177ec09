//! Whose token, for which server, of which issuer, issued to which client.

use std::sync::Arc;

use crate::{Principal, ServerId};

/// The key of a token. Its parts are compared on their own and never joined.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TokenKey {
    server: ServerId,
    principal: Principal,
    issuer: Option<Arc<str>>,
    client: Option<Arc<str>>,
}

impl TokenKey {
    /// The key of a principal's token for a server, of no particular issuer.
    pub fn new(server: impl Into<ServerId>, principal: impl Into<Principal>) -> Self {
        Self {
            server: server.into(),
            principal: principal.into(),
            issuer: None,
            client: None,
        }
    }

    /// Sets the authorization server that issues the token: a token of one is never offered to
    /// another.
    pub fn with_issuer(mut self, issuer: impl Into<Arc<str>>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// Sets the client that the token is issued to: a refresh token works for its own client alone.
    pub fn with_client(mut self, client: impl Into<Arc<str>>) -> Self {
        self.client = Some(client.into());
        self
    }

    /// The server that the token is for.
    pub fn server(&self) -> &ServerId {
        &self.server
    }

    /// The principal whose token it is.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The authorization server that issues it.
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// The client that it is issued to.
    pub fn client(&self) -> Option<&str> {
        self.client.as_deref()
    }

    /// A name for files and remote keys: a digest of the parts, the same in every process. Not
    /// secret, and long enough that two keys never share one.
    pub fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        let mut part = |part: Option<&str>| {
            // Length and presence first, so that moving a boundary changes the digest.
            let length = part.map_or(u64::MAX, |part| part.len() as u64);
            hasher.update(&length.to_le_bytes());
            hasher.update(part.unwrap_or_default().as_bytes());
        };
        part(Some(self.server.as_str()));
        part(self.principal.tenant());
        part(Some(self.principal.user()));
        part(self.issuer());
        part(self.client());
        hasher.finalize().to_hex().as_str()[..32].to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_keep_parts_apart() {
        let server = ServerId::new("s").unwrap();
        let key = |principal: Principal| TokenKey::new(&server, principal);
        let keys = [
            key(Principal::new("a:b").unwrap()),
            key(Principal::in_tenant("a", "b").unwrap()),
            key(Principal::in_tenant("b", "a").unwrap()),
            key(Principal::new("a:b").unwrap()).with_issuer("https://as.test"),
            key(Principal::new("a:b").unwrap()).with_issuer(""),
            key(Principal::new("a:b").unwrap()).with_client("https://as.test"),
            key(Principal::new("a:b").unwrap())
                .with_issuer("https://as.test")
                .with_client("c"),
        ];
        let digests: std::collections::HashSet<_> = keys.iter().map(TokenKey::digest).collect();
        assert_eq!(digests.len(), keys.len());
        assert!(digests.iter().all(|digest| digest.len() == 32));
    }
}
