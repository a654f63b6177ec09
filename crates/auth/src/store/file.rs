//! Tokens in files that only their owner can read.

mod disk;
mod wire;

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use self::disk::Disk;
use super::{Lease, Save, Saved, StoreError, StoreErrorKind, StoredToken, TokenKey, TokenStore};
use crate::MaybeReady;
use crate::time::{Instant, SharedClock, SystemClock};

/// How long to try for the lock that is held while a file changes.
const LOCK_DEADLINE: Duration = Duration::from_secs(10);
/// How often to try, give or take a half.
const LOCK_POLL: Duration = Duration::from_millis(4);

/// Keeps each token in a file of its own, readable by its owner only.
///
/// Several processes may share the directory: a file is replaced whole, and leases are advisory
/// locks that end with the process that holds them. A file or directory that others can get at is
/// refused. The directory must be on a file system with working locks, so on no old network share.
///
/// Available on Unix, with the feature `file`.
#[derive(Clone, Debug)]
pub struct FileStore {
    directory: Arc<Path>,
    clock: SharedClock,
}

impl FileStore {
    /// A store in this directory, which is made if it is not there. Touches the disk.
    ///
    /// # Errors
    /// When the directory cannot be made, belongs to somebody else, or others can write to it.
    pub fn new(directory: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let directory = directory.into();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .map_err(|error| unavailable("the store's directory cannot be made", error))?;
        let metadata = fs::metadata(&directory)
            .map_err(|error| unavailable("the store's directory cannot be read", error))?;
        let owner = metadata.uid();
        let foreign = owner != rustix::process::geteuid().as_raw() && owner != 0;
        // Others may look at names, which tell nothing; what they could write, they could replace.
        if !metadata.is_dir() || foreign || metadata.mode() & 0o022 != 0 {
            return Err(StoreError::new(
                StoreErrorKind::Exposed,
                format!(
                    "the directory `{}` can be written by others; `chmod 700` it",
                    directory.display()
                ),
            ));
        }
        Ok(Self {
            directory: Arc::from(directory),
            clock: Arc::new(SystemClock),
        })
    }

    /// Where the calendar time of leases comes from.
    pub fn clock(mut self, clock: SharedClock) -> Self {
        self.clock = clock;
        self
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Does blocking work where blocking is allowed. The lock is held for milliseconds; it is not
    /// waited for with a thread, which a process that hangs while it has it would take for good.
    fn blocking<'a, T: Send + 'static>(
        &self,
        key: &TokenKey,
        work: impl Fn(&Disk) -> Result<Done<T>, StoreError> + Send + Sync + 'static,
    ) -> MaybeReady<'a, Result<T, StoreError>> {
        let disk = Disk::new(&self.directory, key.clone());
        let work = Arc::new((disk, work));
        MaybeReady::new(async move {
            let given_up = Instant::now() + LOCK_DEADLINE;
            loop {
                let work = Arc::clone(&work);
                // Not cancelled by dropping: what has begun to be written is written.
                let done = tokio::task::spawn_blocking(move || (work.1)(&work.0)).await;
                match done {
                    Ok(Ok(Done::Is(done))) => return Ok(done),
                    Ok(Ok(Done::Busy)) if Instant::now() < given_up => {}
                    Ok(Ok(Done::Busy)) => {
                        return Err(StoreError::new(
                            StoreErrorKind::Unavailable,
                            "the store is locked by a process that hangs",
                        ));
                    }
                    Ok(Err(error)) => return Err(error),
                    Err(_) => {
                        return Err(StoreError::new(
                            StoreErrorKind::Unavailable,
                            "the work on the store was cut off",
                        ));
                    }
                }
                tokio::time::sleep(LOCK_POLL.mul_f64(0.5 + fastrand::f64())).await;
            }
        })
    }
}

/// What came of a piece of work.
enum Done<T> {
    Is(T),
    /// Somebody else has the lock.
    Busy,
}

impl TokenStore for FileStore {
    fn load<'a>(
        &'a self,
        key: &'a TokenKey,
    ) -> MaybeReady<'a, Result<Option<StoredToken>, StoreError>> {
        self.blocking(key, |disk| disk.load().map(Done::Is))
    }

    fn save<'a>(
        &'a self,
        key: &'a TokenKey,
        save: Save<'a>,
    ) -> MaybeReady<'a, Result<Saved, StoreError>> {
        let (token, obtained_at, expected) = (save.token.clone(), save.obtained_at, save.expected);
        let fence = save.lease.map(Lease::fence);
        self.blocking(key, move |disk| {
            disk.save(&token, obtained_at, expected, fence)
        })
    }

    fn delete<'a>(&'a self, key: &'a TokenKey) -> MaybeReady<'a, Result<bool, StoreError>> {
        self.blocking(key, Disk::delete)
    }

    fn lease<'a>(
        &'a self,
        key: &'a TokenKey,
        life: Duration,
    ) -> MaybeReady<'a, Result<Option<Lease>, StoreError>> {
        let wall = self.clock.wall();
        self.blocking(key, move |disk| disk.lease(wall, life))
    }
}

/// Whether somebody else owns it or can get at it.
fn is_exposed(metadata: &fs::Metadata) -> bool {
    metadata.uid() != rustix::process::geteuid().as_raw() || metadata.mode() & 0o077 != 0
}

fn unavailable(message: &'static str, error: io::Error) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, message).with_source(error)
}
