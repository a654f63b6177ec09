//! A store whose content is worth nothing without a key.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use mcp_core::auth::{
    Changes, ExposeSecret as _, Lease, MaybeReady, Revision, Save, Saved, SealingKeys,
    SecretString, SharedStore, StoreError, StoreErrorKind, StoredToken, Token, TokenKey,
    TokenStore,
};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

use crate::OAuthError;

/// Encrypts what another store keeps (ChaCha20-Poly1305): tokens, and with them everything else
/// that [`OAuth`](crate::OAuth) keeps there. What is sealed under one key cannot be read under
/// another, nor moved to the place of another principal, server, issuer or client.
///
/// When a token ends stays readable, so that whatever cleans the store up can.
///
/// ```
/// use std::sync::Arc;
/// use mcp_core::auth::MemoryStore;
/// use mcp_oauth::SealedStore;
///
/// # fn main() -> Result<(), mcp_oauth::OAuthError> {
/// let key = "test-key-of-at-least-thirty-two-bytes".into();
/// let store = SealedStore::new(Arc::new(MemoryStore::new()), &key)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SealedStore {
    inner: SharedStore,
    keys: SealingKeys,
}

/// What is sealed.
#[derive(Deserialize, Serialize)]
struct Content {
    access: String,
    refresh: Option<String>,
    scopes: Option<Vec<String>>,
    extras: Vec<(String, String)>,
}

impl SealedStore {
    /// Seals what this store keeps. The key is any secret of 32 bytes or more with as much chance
    /// in it, such as the output of `openssl rand -base64 32`.
    ///
    /// # Errors
    /// When the key is shorter.
    pub fn new(inner: SharedStore, key: &SecretString) -> Result<Self, OAuthError> {
        let keys = SealingKeys::new(key)
            .map_err(|_| OAuthError::config("the key of a sealed store has at least 32 bytes"))?;
        Ok(Self::with_keys(inner, keys))
    }

    /// Seals what this store keeps under the newest of these keys, and reads it under any.
    pub fn with_keys(inner: SharedStore, keys: SealingKeys) -> Self {
        Self { inner, keys }
    }

    fn seal(&self, key: &TokenKey, token: &Token) -> Result<Token, StoreError> {
        let failed = || StoreError::new(StoreErrorKind::Unavailable, "the token cannot be sealed");
        let mut content = Content {
            access: token.access().expose_secret().to_owned(),
            refresh: token
                .refresh_token()
                .map(|refresh| refresh.expose_secret().to_owned()),
            scopes: token.scopes().map(<[String]>::to_vec),
            extras: token
                .extras()
                .map(|(name, value)| (name.to_owned(), value.expose_secret().to_owned()))
                .collect(),
        };
        let text = serde_json::to_vec(&content);
        content.wipe();
        let text = Zeroizing::new(text.map_err(|_| failed())?);
        let sealed = self.keys.seal(key.digest().as_bytes(), &text)?;
        Ok(Token::new(STANDARD_NO_PAD.encode(sealed)).with_expiry(token.expiry()))
    }

    fn open(&self, key: &TokenKey, stored: &StoredToken) -> Result<StoredToken, StoreError> {
        let corrupt = || {
            StoreError::new(
                StoreErrorKind::Corrupt,
                "what is stored was not sealed with this key, for this place",
            )
        };
        let sealed = stored.token.access().expose_secret();
        let sealed = STANDARD_NO_PAD.decode(sealed).map_err(|_| corrupt())?;
        let opened = self.keys.open(key.digest().as_bytes(), &sealed)?;
        let mut content: Content = serde_json::from_slice(&opened).map_err(|_| corrupt())?;
        let mut token =
            Token::new(std::mem::take(&mut content.access)).with_expiry(stored.token.expiry());
        if let Some(refresh) = content.refresh.take() {
            token = token.with_refresh_token(refresh);
        }
        if let Some(scopes) = content.scopes.take() {
            token = token.with_scopes(scopes);
        }
        for (name, value) in std::mem::take(&mut content.extras) {
            token = token.with_extra(name, value);
        }
        Ok(StoredToken::new(token, stored.obtained_at, stored.revision))
    }
}

impl Content {
    fn wipe(&mut self) {
        self.access.zeroize();
        self.refresh.zeroize();
        for (_, value) in &mut self.extras {
            value.zeroize();
        }
    }
}

impl TokenStore for SealedStore {
    fn load<'a>(
        &'a self,
        key: &'a TokenKey,
    ) -> MaybeReady<'a, Result<Option<StoredToken>, StoreError>> {
        MaybeReady::new(async move {
            let stored = self.inner.load(key).await?;
            stored.map(|stored| self.open(key, &stored)).transpose()
        })
    }

    fn save<'a>(
        &'a self,
        key: &'a TokenKey,
        save: Save<'a>,
    ) -> MaybeReady<'a, Result<Saved, StoreError>> {
        MaybeReady::new(async move {
            let sealed = self.seal(key, save.token)?;
            let mut inner = Save::new(&sealed, save.obtained_at).expecting(save.expected);
            if let Some(lease) = save.lease {
                inner = inner.under(lease);
            }
            self.inner.save(key, inner).await
        })
    }

    fn delete<'a>(&'a self, key: &'a TokenKey) -> MaybeReady<'a, Result<bool, StoreError>> {
        self.inner.delete(key)
    }

    fn lease<'a>(
        &'a self,
        key: &'a TokenKey,
        life: Duration,
    ) -> MaybeReady<'a, Result<Option<Lease>, StoreError>> {
        self.inner.lease(key, life)
    }

    fn release<'a>(
        &'a self,
        key: &'a TokenKey,
        lease: Lease,
    ) -> MaybeReady<'a, Result<(), StoreError>> {
        self.inner.release(key, lease)
    }

    fn has_lost<'a>(
        &'a self,
        key: &'a TokenKey,
        known: Revision,
        found: Option<Revision>,
    ) -> MaybeReady<'a, Result<bool, StoreError>> {
        self.inner.has_lost(key, known, found)
    }

    fn changes<'a>(&'a self, key: &'a TokenKey) -> MaybeReady<'a, Changes> {
        self.inner.changes(key)
    }
}

impl fmt::Debug for SealedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedStore")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mcp_core::auth::{Expiry, MemoryStore, Principal, ServerId};
    use std::sync::Arc;
    use std::time::SystemTime;

    const KEY: &str = "test-key-0123456789-0123456789-0123456789";

    fn key(user: &str) -> TokenKey {
        TokenKey::new(ServerId::new("s").unwrap(), Principal::new(user).unwrap())
    }

    #[tokio::test]
    async fn only_the_key_and_the_place_open_it() {
        let inner: SharedStore = Arc::new(MemoryStore::new());
        let sealed = |key: &str| SealedStore::new(Arc::clone(&inner), &key.into()).unwrap();
        let end = SystemTime::UNIX_EPOCH + Duration::from_secs(60);
        let token = Token::new("canary-access")
            .with_refresh_token("canary-refresh")
            .with_scopes(["a"])
            .with_extra("key", "canary-key")
            .with_expiry(Expiry::At(end));
        let store = sealed(KEY);
        let save = Save::new(&token, SystemTime::UNIX_EPOCH);
        store.save(&key("alice"), save).await.unwrap();

        let raw = inner.load(&key("alice")).await.unwrap().unwrap().token;
        assert!(!raw.access().expose_secret().contains("canary"));
        assert!(raw.refresh_token().is_none() && raw.extras().next().is_none());
        let found = store.load(&key("alice")).await.unwrap().unwrap().token;
        assert_eq!(found.access().expose_secret(), "canary-access");
        assert_eq!(
            found.refresh_token().unwrap().expose_secret(),
            "canary-refresh"
        );
        assert_eq!(found.extra("key").unwrap().expose_secret(), "canary-key");
        assert_eq!(
            (found.scopes().unwrap(), found.expiry()),
            (&["a".to_owned()][..], Expiry::At(end))
        );

        // Moved to another user's place; under another key; not sealed at all.
        let moved = Save::new(&raw, SystemTime::UNIX_EPOCH);
        inner.save(&key("mallory"), moved).await.unwrap();
        let plain = Token::new("canary-plain");
        let open = Save::new(&plain, SystemTime::UNIX_EPOCH);
        inner.save(&key("bob"), open).await.unwrap();
        let other = sealed(&KEY.replace('0', "1"));
        for (store, user, kind) in [
            (&store, "mallory", StoreErrorKind::Corrupt),
            (&other, "alice", StoreErrorKind::UnknownKey),
            (&store, "bob", StoreErrorKind::Corrupt),
        ] {
            let error = store.load(&key(user)).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{user}");
            assert!(!format!("{error:?} {store:?}").contains("canary"));
        }
        assert!(SealedStore::new(inner, &"short".into()).is_err());
    }

    #[tokio::test]
    async fn a_changed_key_leaves_what_the_old_one_sealed_readable() {
        let inner: SharedStore = Arc::new(MemoryStore::new());
        let old = SealedStore::new(Arc::clone(&inner), &KEY.into()).unwrap();
        let first = Token::new("test-first");
        let save = Save::new(&first, SystemTime::UNIX_EPOCH);
        old.save(&key("alice"), save).await.unwrap();
        let newer = SecretString::from(KEY.replace('0', "1"));
        let keys = SealingKeys::new(&newer).unwrap();
        let both = SealedStore::with_keys(
            Arc::clone(&inner),
            keys.clone().also_opening(&KEY.into()).unwrap(),
        );
        let found = both.load(&key("alice")).await.unwrap().unwrap().token;
        assert_eq!(found.access().expose_secret(), "test-first");
        let save = Save::new(&found, SystemTime::UNIX_EPOCH);
        both.save(&key("alice"), save).await.unwrap();
        let only_new = SealedStore::with_keys(inner, keys);
        let found = only_new.load(&key("alice")).await.unwrap().unwrap().token;
        assert_eq!(found.access().expose_secret(), "test-first");
    }
}
