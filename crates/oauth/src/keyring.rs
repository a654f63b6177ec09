//! The key of a sealed store, kept in the operating system's keyring.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use keyring_core::{CredentialStore, Entry, Error};
use mcp_core::auth::{Principal, SecretString, ServerId, SharedStore, StoreError, TokenKey};
use ring::rand::{SecureRandom as _, SystemRandom};
use zeroize::Zeroizing;

use crate::{OAuthError, SealedStore};

/// The entry's user; there is one key per service.
const USER: &str = "token store key";
/// How long another process may take to make the key.
const MAKING: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(50);

impl SealedStore {
    /// Seals what this store keeps under a key in the operating system's keyring, which is made at
    /// the first use. Tokens themselves would not fit every keyring, and keyrings have no leases.
    ///
    /// Which keyring is the program's choice, one of the stores of the `keyring-core` family.
    /// `service` names the program there. May wait for the user to unlock the keyring.
    ///
    /// # Errors
    /// When the keyring cannot be used, or stays locked.
    pub async fn with_keyring(
        inner: SharedStore,
        keyring: Arc<CredentialStore>,
        service: &str,
    ) -> Result<Self, OAuthError> {
        let entry = Entry::new_in_store(&keyring, service, USER).map_err(|error| told(&error))?;
        let entry = Arc::new(entry);
        let key = match read(&entry).await? {
            Some(key) => key,
            None => make(&inner, &entry).await?,
        };
        Self::new(inner, &key)
    }
}

/// Makes the key, in one process at a time.
async fn make(inner: &SharedStore, entry: &Arc<Entry>) -> Result<SecretString, OAuthError> {
    let server = ServerId::new("keyring").map_err(|_| OAuthError::config("the store's key"))?;
    let lock = TokenKey::new(server, Principal::local()).with_issuer("key");
    let mut changes = inner.changes(&lock).await;
    let lease = loop {
        if let Some(lease) = inner.lease(&lock, MAKING).await.map_err(stored)? {
            break lease;
        }
        let _told_or_not = tokio::time::timeout(POLL, changes.next()).await;
    };
    let key = if let Some(key) = read(entry).await? {
        key
    } else {
        let mut bytes = Zeroizing::new([0; 32]);
        SystemRandom::new()
            .fill(&mut *bytes)
            .map_err(|_| OAuthError::unavailable("randomness"))?;
        let key = Zeroizing::new(STANDARD_NO_PAD.encode(*bytes));
        let (entry, written) = (Arc::clone(entry), key.clone());
        blocking(move || entry.set_password(&written))
            .await?
            .map_err(|error| told(&error))?;
        key.as_str().into()
    };
    inner.release(&lock, lease).await.map_err(stored)?;
    Ok(key)
}

async fn read(entry: &Arc<Entry>) -> Result<Option<SecretString>, OAuthError> {
    let entry = Arc::clone(entry);
    match blocking(move || entry.get_password().map(Zeroizing::new)).await? {
        Ok(key) => Ok(Some(key.as_str().into())),
        Err(Error::NoEntry) => Ok(None),
        Err(error) => Err(told(&error)),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, OAuthError> {
    let work = tokio::task::spawn_blocking(work);
    work.await
        .map_err(|_| OAuthError::unavailable("the keyring"))
}

/// Its own text may hold what was read.
fn told(error: &Error) -> OAuthError {
    match error {
        Error::NoStorageAccess(_) => OAuthError::unavailable("the keyring (is it locked?)"),
        Error::PlatformFailure(_) => OAuthError::unavailable("the keyring"),
        _ => OAuthError::config("the keyring cannot keep the key of the token store"),
    }
}

fn stored(error: StoreError) -> OAuthError {
    error.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyring_core::mock;
    use mcp_core::auth::{ExposeSecret as _, MemoryStore, Save, Token, TokenStore as _};
    use std::time::SystemTime;

    #[tokio::test]
    async fn the_key_is_made_once_and_found_again() {
        let keyring: Arc<CredentialStore> = mock::Store::new().unwrap();
        let inner: SharedStore = Arc::new(MemoryStore::new());
        let open = || SealedStore::with_keyring(Arc::clone(&inner), Arc::clone(&keyring), "test");
        let (one, other) = tokio::join!(open(), open());
        let server = ServerId::new("s").unwrap();
        let key = TokenKey::new(server, Principal::local());
        let token = Token::new("test-token");
        let save = Save::new(&token, SystemTime::UNIX_EPOCH);
        one.unwrap().save(&key, save).await.unwrap();
        for store in [other.unwrap(), open().await.unwrap()] {
            let found = store.load(&key).await.unwrap().unwrap();
            assert_eq!(found.token.access().expose_secret(), "test-token");
        }
    }
}
