//! What is kept where others may read it: worth nothing without a key.

use std::fmt;
use std::sync::Arc;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use crate::{SecretRef, StoreError, StoreErrorKind};

/// The shortest key material, in bytes. A password is no key.
const MIN_KEY: usize = 32;
/// What the format begins with.
const VERSION: u8 = 1;
const ID_LEN: usize = 8;
/// The part of the random bytes that goes into the key of one value; the rest is its nonce. Together
/// they are so many that no two values of any number of replicas get the same.
const SPREAD_LEN: usize = 16;
const HEAD_LEN: usize = 1 + ID_LEN + SPREAD_LEN + NONCE_LEN;
const TAG_LEN: usize = 16;

/// Keys that values are sealed under (ChaCha20-Poly1305): the newest seals, and it and the older ones
/// open. Each sealed value names its key, and opens only at the place that it was sealed for.
/// Cloning copies a pointer.
///
/// To change the key of many replicas: give the new one to all of them as one that
/// [also opens](Self::also_opening), then as the newest with the old one beside it, and drop the old
/// one when everything it sealed has been written anew or has ended.
///
/// Available with the feature `sealed`.
#[derive(Clone)]
pub struct SealingKeys(Arc<Vec<Key>>);

#[derive(Clone)]
struct Key {
    id: [u8; ID_LEN],
    secret: Prk,
}

impl SealingKeys {
    /// One key that seals and opens: any secret of 32 bytes or more with as much chance in it, such as
    /// the output of `openssl rand -base64 32`.
    ///
    /// # Errors
    /// When it is shorter.
    pub fn new(newest: &SecretString) -> Result<Self, StoreError> {
        Ok(Self(Arc::new(vec![Key::new(newest)?])))
    }

    /// Adds a key that opens what it sealed, and seals nothing.
    ///
    /// # Errors
    /// When it is too short.
    pub fn also_opening(mut self, older: &SecretString) -> Result<Self, StoreError> {
        let key = Key::new(older)?;
        if self.0.iter().all(|known| known.id != key.id) {
            Arc::make_mut(&mut self.0).push(key);
        }
        Ok(self)
    }

    /// Reads the keys from where they are kept, the newest first.
    ///
    /// # Errors
    /// When one cannot be read or is too short.
    pub async fn resolve(newest: &SecretRef, older: &[SecretRef]) -> Result<Self, StoreError> {
        let mut keys = Self::new(&read(newest).await?)?;
        for older in older {
            keys = keys.also_opening(&read(older).await?)?;
        }
        Ok(keys)
    }

    /// Seals a value for a place, such as the name that it is kept under.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn seal(&self, place: &[u8], value: &[u8]) -> Result<Vec<u8>, StoreError> {
        let failed = || StoreError::new(StoreErrorKind::Unavailable, "a value cannot be sealed");
        let key = self.0.first().ok_or_else(failed)?;
        let mut random = [0; SPREAD_LEN + NONCE_LEN];
        getrandom::fill(&mut random).map_err(|_| failed())?;
        let mut sealed = Vec::with_capacity(HEAD_LEN + value.len() + TAG_LEN);
        sealed.push(VERSION);
        sealed.extend_from_slice(&key.id);
        sealed.extend_from_slice(&random);
        let mut text = Zeroizing::new(Vec::with_capacity(value.len()));
        text.extend_from_slice(value);
        let (once, nonce) = key.once(&random).ok_or_else(failed)?;
        let tag = once
            .seal_in_place_separate_tag(nonce, Aad::from(place), &mut text)
            .map_err(|_| failed())?;
        sealed.extend_from_slice(&text);
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// Opens what was sealed for a place.
    ///
    /// # Errors
    /// [`StoreErrorKind::UnknownKey`] when it was sealed under a key that is not among these;
    /// [`StoreErrorKind::Corrupt`] when it was changed, moved here from another place, or not sealed.
    pub fn open(&self, place: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let (head, text) = sealed.split_at_checked(HEAD_LEN).ok_or_else(corrupt)?;
        let (version, head) = head.split_at(1);
        if version != [VERSION] {
            return Err(corrupt());
        }
        let (id, random) = head.split_at(ID_LEN);
        let key = self.0.iter().find(|key| key.id == id).ok_or_else(|| {
            StoreError::new(
                StoreErrorKind::UnknownKey,
                "what is stored was sealed under a key that is not configured here",
            )
        })?;
        let (once, nonce) = key.once(random).ok_or_else(corrupt)?;
        let mut text = Zeroizing::new(text.to_vec());
        let length = once
            .open_in_place(nonce, Aad::from(place), &mut text)
            .map_err(|_| corrupt())?
            .len();
        text.truncate(length);
        Ok(text)
    }
}

impl Key {
    fn new(key: &SecretString) -> Result<Self, StoreError> {
        let unusable = |message: &'static str| StoreError::new(StoreErrorKind::UnknownKey, message);
        let material = key.expose_secret().trim().as_bytes();
        if material.len() < MIN_KEY {
            return Err(unusable("a sealing key has at least 32 bytes"));
        }
        let failed = |_| unusable("the sealing key cannot be used");
        let secret = Salt::new(HKDF_SHA256, b"mcp-toolkit sealing").extract(material);
        let mut id = [0; ID_LEN];
        secret
            .expand(&[b"id"], Length(ID_LEN))
            .and_then(|name| name.fill(&mut id))
            .map_err(failed)?;
        Ok(Self { id, secret })
    }

    /// The key of one value.
    fn once(&self, random: &[u8]) -> Option<(LessSafeKey, Nonce)> {
        let (spread, nonce) = random.split_at_checked(SPREAD_LEN)?;
        let info = [&b"value"[..], spread];
        let key = self.secret.expand(&info, &CHACHA20_POLY1305).ok()?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        Some((LessSafeKey::new(UnboundKey::from(key)), nonce))
    }
}

impl fmt::Debug for SealingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKeys({})", self.0.len())
    }
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

async fn read(key: &SecretRef) -> Result<SecretString, StoreError> {
    key.resolve().await.map_err(|error| {
        StoreError::new(StoreErrorKind::UnknownKey, "a sealing key cannot be read")
            .with_source(error)
    })
}

fn corrupt() -> StoreError {
    StoreError::new(
        StoreErrorKind::Corrupt,
        "what is stored was not sealed with this key, for this place",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(digit: char) -> SecretString {
        SecretString::from(digit.to_string().repeat(MIN_KEY))
    }

    #[test]
    fn a_value_opens_with_its_key_at_its_place_alone() {
        let keys = SealingKeys::new(&key('a')).unwrap();
        let sealed = keys.seal(b"place", b"canary").unwrap();
        assert_eq!(sealed.len(), HEAD_LEN + 6 + TAG_LEN);
        assert!(!sealed.windows(6).any(|part| part == b"canary"));
        assert_eq!(&**keys.open(b"place", &sealed).unwrap(), b"canary");
        assert_ne!(keys.seal(b"place", b"canary").unwrap(), sealed);

        let kind = |keys: &SealingKeys, place: &[u8], sealed: &[u8]| {
            let error = keys.open(place, sealed).unwrap_err();
            assert!(!format!("{error} {error:?} {keys:?}").contains("canary"));
            error.kind()
        };
        assert_eq!(kind(&keys, b"other", &sealed), StoreErrorKind::Corrupt);
        for at in [0, HEAD_LEN - 1, HEAD_LEN, sealed.len() - 1] {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert_eq!(kind(&keys, b"place", &damaged), StoreErrorKind::Corrupt);
        }
        for length in [0, 1, HEAD_LEN, sealed.len() - 1] {
            let short = &sealed[..length];
            assert_eq!(kind(&keys, b"place", short), StoreErrorKind::Corrupt);
        }
        let other = SealingKeys::new(&key('b')).unwrap();
        assert_eq!(kind(&other, b"place", &sealed), StoreErrorKind::UnknownKey);
        assert!(SealingKeys::new(&"short".into()).is_err());
    }

    #[tokio::test]
    async fn the_newest_key_seals_and_older_ones_open() {
        let old = SealingKeys::new(&key('a')).unwrap();
        let sealed = old.seal(b"p", b"v").unwrap();
        let refs = [SecretRef::literal(key('b')), SecretRef::literal(key('a'))];
        let both = SealingKeys::resolve(&refs[0], &refs[1..]).await.unwrap();
        assert_eq!(&**both.open(b"p", &sealed).unwrap(), b"v");
        let sealed = both.seal(b"p", b"v").unwrap();
        assert!(old.open(b"p", &sealed).is_err());
        let new = SealingKeys::new(&key('b')).unwrap();
        assert!(new.open(b"p", &sealed).is_ok());
    }
}
