//! What a file store does on disk, blocking.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{FlockOperation, OFlags, flock};
use zeroize::Zeroizing;

use super::wire::{self, Record};
use super::{Done, is_exposed, unavailable};
use crate::Token;
use crate::store::{
    Expected, Lease, Revision, Saved, StoreError, StoreErrorKind, StoredToken, TokenKey,
};

/// The largest file that is read, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;

/// The files of one key: the token, a lock that is held for the moment of a change, and the lease
/// that is held as long as a refresh takes. The last two hold nothing secret and stay.
pub(super) struct Disk {
    key: TokenKey,
    directory: PathBuf,
    token: PathBuf,
    next: PathBuf,
    lock: PathBuf,
    lease: PathBuf,
}

impl Disk {
    pub(super) fn new(directory: &Path, key: TokenKey) -> Self {
        let name = key.digest();
        let file = |extension: &str| directory.join(format!("{name}.{extension}"));
        Self {
            directory: directory.to_owned(),
            token: file("json"),
            next: file("next"),
            lock: file("lock"),
            lease: file("lease"),
            key,
        }
    }

    pub(super) fn load(&self) -> Result<Option<StoredToken>, StoreError> {
        let mut file = match open(OpenOptions::new().read(true), &self.token) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unavailable("the token's file cannot be opened", error)),
        };
        let read = |error| unavailable("the token's file cannot be read", error);
        let metadata = file.metadata().map_err(read)?;
        if is_exposed(&metadata) {
            return Err(StoreError::new(
                StoreErrorKind::Exposed,
                format!(
                    "the file `{}` is open to others; `chmod 600` it, and change its tokens",
                    self.token.display()
                ),
            ));
        }
        let size = usize::try_from(metadata.len().min(MAX_BYTES)).unwrap_or_default();
        let mut content = Zeroizing::new(Vec::with_capacity(size + 1));
        (&mut file)
            .take(MAX_BYTES)
            .read_to_end(&mut content)
            .map_err(read)?;
        wire::read(&content, &self.key).map(Some)
    }

    pub(super) fn save(
        &self,
        token: &Token,
        obtained_at: SystemTime,
        expected: Expected,
        fence: Option<u64>,
    ) -> Result<Done<Saved>, StoreError> {
        let Some(_lock) = self.lock()? else {
            return Ok(Done::Busy);
        };
        if let Some(fence) = fence
            && self.latest_lease()?.fence > fence
        {
            return Err(StoreError::new(
                StoreErrorKind::LeaseLost,
                "the lease was given to somebody else",
            ));
        }
        // A file that cannot be trusted is no ground to lose the new token: a login overwrites it.
        let found = match self.load() {
            Ok(found) => found.map(|stored| stored.revision),
            Err(_) if expected == Expected::Anything => None,
            Err(error) => return Err(error),
        };
        if !expected.is_met_by(found) {
            return Ok(Done::Is(Saved::Conflict));
        }
        let revision = Revision::unique();
        let content = wire::write(&Record::new(&self.key, token, obtained_at, revision))?;
        self.replace(&content)
            .map_err(|error| unavailable("the token's file cannot be written", error))?;
        Ok(Done::Is(Saved::Stored(revision)))
    }

    pub(super) fn delete(&self) -> Result<Done<bool>, StoreError> {
        let Some(_lock) = self.lock()? else {
            return Ok(Done::Busy);
        };
        match fs::remove_file(&self.token) {
            Ok(()) => Ok(Done::Is(true)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Done::Is(false)),
            Err(error) => Err(unavailable("the token's file cannot be removed", error)),
        }
    }

    pub(super) fn lease(
        &self,
        wall: SystemTime,
        life: Duration,
    ) -> Result<Done<Option<Lease>>, StoreError> {
        let failed = |error| unavailable("the lease cannot be taken", error);
        let Some(_lock) = self.lock()? else {
            return Ok(Done::Busy);
        };
        let latest = self.latest_lease()?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true);
        let mut file = open(&mut options, &self.lease).map_err(failed)?;
        if !try_lock(&file).map_err(failed)? {
            if millis(wall) < latest.until {
                return Ok(Done::Is(None));
            }
            // Its holder hangs. Another file takes the place of the one it has locked; the fence
            // keeps the holder from saving, should it come back.
            let aside = self.lease.with_extension("lease-next");
            options.truncate(true);
            file = open(&mut options, &aside).map_err(failed)?;
            if !try_lock(&file).map_err(failed)? {
                return Ok(Done::Is(None));
            }
            fs::rename(&aside, &self.lease).map_err(failed)?;
        }
        let fence = latest.fence + 1;
        let until = millis(wall + life.min(Duration::from_secs(24 * 3600)));
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        file.set_len(0).map_err(failed)?;
        file.write_all(format!("{fence} {until}\n").as_bytes())
            .map_err(failed)?;
        Ok(Done::Is(Some(Lease::new(fence).with_guard(file))))
    }

    /// The lock under which files change; `None` while somebody else has it.
    fn lock(&self) -> Result<Option<File>, StoreError> {
        let failed = |error| unavailable("the store cannot be locked", error);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true);
        let file = open(&mut options, &self.lock).map_err(failed)?;
        let locked = try_lock(&file).map_err(failed)?;
        Ok(locked.then_some(file))
    }

    fn latest_lease(&self) -> Result<LatestLease, StoreError> {
        match fs::read_to_string(&self.lease) {
            Ok(text) => {
                let mut numbers = text.split_whitespace().map(|number| number.parse().ok());
                Ok(LatestLease {
                    fence: numbers.next().flatten().unwrap_or_default(),
                    until: numbers.next().flatten().unwrap_or_default(),
                })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(LatestLease::default()),
            Err(error) => Err(unavailable("the lease cannot be read", error)),
        }
    }

    /// Writes beside the file, then over it: a reader sees the old or the new, a crash leaves one.
    fn replace(&self, content: &[u8]) -> io::Result<()> {
        match fs::remove_file(&self.next) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = open(OpenOptions::new().write(true).create_new(true), &self.next)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&self.next, &self.token)?;
        File::open(&self.directory)?.sync_all()
    }
}

/// The numbers in a lease's file; nought when there has been none.
#[derive(Default)]
struct LatestLease {
    fence: u64,
    /// Milliseconds since 1970.
    until: u64,
}

/// Opens for the owner alone, and never through a symbolic link.
fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let no_follow = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default();
    options.mode(0o600).custom_flags(no_follow).open(path)
}

fn try_lock(file: &File) -> io::Result<bool> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn millis(wall: SystemTime) -> u64 {
    let since = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
