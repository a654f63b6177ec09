//! A place where replicas find lists of tools that another has asked for.

mod entry;

use std::error::Error as StdError;
use std::fmt::{self, Debug};
use std::time::Duration;

use mcp_auth::ServerId;

pub use self::entry::CatalogEntry;
use crate::BoxFuture;

/// Keeps public lists of tools for all replicas. What lies there is a copy that may be lost at any
/// time.
///
/// Only lists that a server calls public are put there, by [`CatalogEntry::encode`]: the digests by
/// which private ones are told apart differ from process to process. Whoever can write there says
/// what tools the agents see: a carrier that others write to seals what it keeps.
pub trait CatalogStore: Debug + Send + Sync {
    /// What lies under a key; at most [`CatalogEntry::MOST_BYTES`] of it, or an error.
    ///
    /// Whoever implements it bounds the wait; callers bound it once more.
    ///
    /// # Errors
    /// When the carrier cannot be reached, or what lies there is not what was put.
    fn get<'a>(
        &'a self,
        key: &'a CatalogKey,
    ) -> BoxFuture<'a, Result<Option<Vec<u8>>, CatalogError>>;

    /// Puts something there for so long a time, in the place of what is there.
    ///
    /// # Errors
    /// When the carrier cannot be reached or has no room.
    fn put<'a>(
        &'a self,
        key: &'a CatalogKey,
        content: &'a [u8],
        life: Duration,
    ) -> BoxFuture<'a, Result<(), CatalogError>>;

    /// Takes away what is there, if anything is.
    ///
    /// # Errors
    /// When the carrier cannot be reached.
    fn forget<'a>(&'a self, key: &'a CatalogKey) -> BoxFuture<'a, Result<(), CatalogError>>;
}

/// What the digest is for; the format of what lies there is a part of it.
const CONTEXT: &str = "mcp-toolkit 2026-11-25 public list of tools, first format";

/// Where the public list of a server lies: a digest (BLAKE3, 32 hexadecimal digits) of its name,
/// which is the same in all replicas.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct CatalogKey(String);

impl CatalogKey {
    /// The key of what a server tells everybody.
    pub fn public(server: &ServerId) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        hasher.update(server.as_str().as_bytes());
        let digest = hasher.finalize().to_hex();
        Self(digest.as_str().get(..32).unwrap_or_default().to_owned())
    }

    /// The digest.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CatalogKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a shared catalog was of no help. Holds nothing of what lies there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// No answer in time.
    #[error("the shared catalog did not answer in time")]
    Late,
    /// Something of the carrier's.
    #[error("the shared catalog could not be asked")]
    Away(#[source] Box<dyn StdError + Send + Sync>),
    /// It is there, and is to be ignored, or is not to be put there.
    #[error("a list in the shared catalog is of no use: {0}")]
    Unusable(&'static str),
}

impl CatalogError {
    /// Something of the carrier's, which must not hold a secret.
    pub fn because(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Away(source.into())
    }
}
