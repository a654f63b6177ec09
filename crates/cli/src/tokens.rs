//! Where logins are kept between runs.

#[cfg(feature = "redis")]
mod redis;

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use mcp_auth::{MemoryStore, SharedStore};
use mcp_core::Error;

/// The variable that says where, in place of `--token-store`.
const VARIABLE: &str = "MCPT_TOKEN_STORE";

const UNKNOWN: &str = "not `file:DIR`, `keyring`, `memory` or `redis://HOST`";

/// Where logins are kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum TokenPlace {
    /// In files of this folder, which only their owner can read.
    File(PathBuf),
    /// In files that are sealed under a key of the system's keyring. Only where it is asked for.
    Keyring,
    /// Nowhere: they end with the process.
    Memory,
    /// In Redis or Valkey, sealed, for other machines as well.
    #[cfg(feature = "redis")]
    Redis(redis::Address),
}

impl FromStr for TokenPlace {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        #[cfg(feature = "redis")]
        if let Some(address) = redis::Address::of(text) {
            return Ok(Self::Redis(address));
        }
        match text {
            "memory" => Ok(Self::Memory),
            "keyring" => Ok(Self::Keyring),
            _ => match text.strip_prefix("file:") {
                Some(folder) if !folder.is_empty() => Ok(Self::File(folder.into())),
                _ => Err(UNKNOWN),
            },
        }
    }
}

impl TokenPlace {
    /// What the option says, then the variable, then the folder for data.
    ///
    /// # Errors
    /// When the variable makes no sense, or there is no folder for data.
    pub(crate) fn chosen(option: Option<&Self>) -> Result<Self, Error> {
        if let Some(place) = option {
            return Ok(place.clone());
        }
        if let Some(value) = std::env::var_os(VARIABLE).filter(|value| !value.is_empty()) {
            let place = value.to_str().unwrap_or_default().parse();
            return place.map_err(|problem| Error::config(format!("`{VARIABLE}` is {problem}")));
        }
        let folder = data_folder().ok_or_else(|| {
            Error::config(format!(
                "there is no folder to keep logins in: set `HOME`, `{VARIABLE}` or `--token-store`"
            ))
        })?;
        Ok(Self::File(folder.join("mcpt")))
    }

    /// Opens the store.
    ///
    /// # Errors
    /// When it cannot be had, or others could read it.
    pub(crate) async fn open(&self) -> Result<SharedStore, Error> {
        match self {
            Self::Memory => Ok(Arc::new(MemoryStore::new())),
            Self::File(folder) => files(folder),
            Self::Keyring => keyring().await,
            #[cfg(feature = "redis")]
            Self::Redis(address) => address.open().await,
        }
    }

    /// Whether anything can be kept there already. Asks neither keyring nor Redis.
    pub(crate) fn is_there(&self) -> bool {
        match self {
            Self::File(folder) => folder.is_dir(),
            Self::Keyring => true,
            #[cfg(feature = "redis")]
            Self::Redis(_) => true,
            Self::Memory => false,
        }
    }
}

/// `$XDG_DATA_HOME`, or what it is by default.
fn data_folder() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).map(PathBuf::from);
    let absolute = |path: &PathBuf| path.is_absolute();
    set("XDG_DATA_HOME").filter(absolute).or_else(|| {
        let home = set("HOME").filter(absolute)?;
        Some(home.join(".local").join("share"))
    })
}

#[cfg(unix)]
fn files(folder: &Path) -> Result<SharedStore, Error> {
    let store = mcp_auth::FileStore::new(folder).map_err(|error| {
        let folder = folder.display();
        Error::config_because(format!("logins cannot be kept in `{folder}`"), error)
    })?;
    Ok(Arc::new(store))
}

#[cfg(not(unix))]
fn files(_: &Path) -> Result<SharedStore, Error> {
    Err(Error::config(
        "files that only their owner can read are kept on Unix; use `--token-store keyring` or `memory`",
    ))
}

#[cfg(feature = "keyring")]
async fn keyring() -> Result<SharedStore, Error> {
    let folder = data_folder().ok_or_else(|| Error::config("there is no folder for data"))?;
    let sealed = files(&folder.join("mcpt").join("sealed"))?;
    let unreachable = || {
        Error::config(
            "the system's keyring cannot be reached: is the desktop's Secret Service running?",
        )
    };
    // It waits for the desktop on a runtime of its own.
    let opening = tokio::task::spawn_blocking(zbus_secret_service_keyring_store::Store::new);
    let keyring = opening.await.map_err(|_| unreachable())?;
    let keyring = keyring.map_err(|_| unreachable())?;
    let store = mcp_toolkit::oauth::SealedStore::with_keyring(sealed, keyring, "mcpt").await?;
    Ok(Arc::new(store))
}

#[cfg(not(feature = "keyring"))]
#[expect(
    clippy::unused_async,
    reason = "the same shape with and without the feature"
)]
async fn keyring() -> Result<SharedStore, Error> {
    Err(Error::config(
        "this build has no keyring: it was made without the feature `keyring`",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read() {
        assert_eq!("memory".parse(), Ok(TokenPlace::Memory));
        assert_eq!("keyring".parse(), Ok(TokenPlace::Keyring));
        assert_eq!("file:/x".parse(), Ok(TokenPlace::File("/x".into())));
        #[cfg(feature = "redis")]
        for redis in ["redis://h", "rediss://u@h:1/2", "redis-sentinel://h/main"] {
            let place: TokenPlace = redis.parse().unwrap();
            assert!(matches!(place, TokenPlace::Redis(_)), "{redis}");
        }
        for wrong in ["", "file:", "File:/x", "disk", "/x", "http://h"] {
            assert!(wrong.parse::<TokenPlace>().is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn files_that_others_can_replace_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let place = TokenPlace::File(folder.path().join("tokens"));
        assert!(!place.is_there());
        place.open().await.unwrap();
        assert!(place.is_there());
    }
}
