//! Promises that every store keeps.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use super::{MemoryStore, Save, Saved, TokenKey, TokenStore as _};
use crate::testing::{ManualClock, check_store};
use crate::{Expiry, Principal, ServerId, Token};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn the_memory_store_keeps_the_rules() {
    check_store(Arc::new(MemoryStore::new())).await.unwrap();
}

fn key_of(user: usize) -> TokenKey {
    TokenKey::new(
        ServerId::new("test-server").unwrap(),
        Principal::new(format!("user-{user}")).unwrap(),
    )
}

async fn keep(store: &MemoryStore, user: usize, token: Token) {
    let save = Save::new(&token, UNIX_EPOCH);
    let saved = store.save(&key_of(user), save).await.unwrap();
    assert!(matches!(saved, Saved::Stored(_)));
}

async fn kept(store: &MemoryStore, users: Range<usize>) -> usize {
    let mut kept = 0;
    for user in users {
        kept += usize::from(store.load(&key_of(user)).await.unwrap().is_some());
    }
    kept
}

#[tokio::test]
async fn a_full_memory_store_lets_go_what_is_over_and_then_what_is_used_least() {
    let clock = ManualClock::new(UNIX_EPOCH);
    let store = MemoryStore::new().capacity(80).clock(clock.shared());
    let ends = || Token::new("test-token").with_expiry(Expiry::At(UNIX_EPOCH + MINUTE));
    let lasts = || ends().with_refresh_token("test-refresh");
    for user in 0..40 {
        keep(&store, user, ends()).await;
    }
    for user in 40..80 {
        keep(&store, user, lasts()).await;
    }
    clock.advance(MINUTE);
    keep(&store, 80, lasts()).await;
    assert_eq!(
        (kept(&store, 0..40).await, kept(&store, 40..81).await),
        (0, 41)
    );

    // Visitors who never come back cannot keep out the next, nor those who do.
    for user in 1000..20_000 {
        keep(&store, user, lasts()).await;
        assert_eq!(kept(&store, 40..50).await, 10, "{user}");
        assert_eq!(kept(&store, user..user + 1).await, 1);
    }
    assert_eq!(kept(&store, 50..81).await, 0);
    assert!(kept(&store, 0..20_000).await <= 80);
}

#[cfg(all(unix, feature = "file"))]
mod files {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use secrecy::ExposeSecret;

    use super::*;
    use crate::store::{FileStore, StoreErrorKind};

    fn key() -> TokenKey {
        TokenKey::new(
            ServerId::new("../../evil").unwrap(),
            Principal::in_tenant("acme", "alice/../bob").unwrap(),
        )
    }

    fn token() -> Token {
        Token::new("canary-access")
            .with_refresh_token("canary-\"refresh\"\\")
            .with_expiry(Expiry::At(UNIX_EPOCH + Duration::from_secs(4_000_000_000)))
    }

    #[tokio::test]
    async fn the_file_store_keeps_the_rules() {
        let directory = tempfile::tempdir().unwrap();
        let store = FileStore::new(directory.path().join("new/tokens")).unwrap();
        check_store(Arc::new(store)).await.unwrap();
    }

    #[tokio::test]
    async fn files_are_the_owners_alone() {
        let directory = tempfile::tempdir().unwrap();
        let store = FileStore::new(directory.path().join("tokens")).unwrap();
        let kept = token();
        let save = Save::new(&kept, UNIX_EPOCH);
        store.save(&key(), save).await.unwrap();
        let mut holders = 0;
        for entry in fs::read_dir(store.directory()).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600, "{path:?}");
            let content = fs::read_to_string(&path).unwrap();
            holders += usize::from(content.contains("canary-access"));
        }
        assert_eq!(holders, 1);
        let metadata = store.directory().metadata().unwrap();
        assert_eq!(metadata.mode() & 0o777, 0o700);
        let found = store.load(&key()).await.unwrap().unwrap();
        assert_eq!(
            found.token.refresh_token().unwrap().expose_secret(),
            "canary-\"refresh\"\\"
        );
    }

    #[tokio::test]
    async fn what_others_can_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tokens");
        let store = FileStore::new(&path).unwrap();
        let kept = token();
        store
            .save(&key(), Save::new(&kept, UNIX_EPOCH))
            .await
            .unwrap();
        let file = path.join(format!("{}.json", key().digest()));
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        let error = store.load(&key()).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Exposed);
        assert!(!format!("{error} {error:?}").contains("canary"));
        // A new login writes a new file, closed again.
        store
            .save(&key(), Save::new(&kept, UNIX_EPOCH))
            .await
            .unwrap();
        assert!(store.load(&key()).await.unwrap().is_some());
        fs::set_permissions(&path, Permissions::from_mode(0o770)).unwrap();
        let error = FileStore::new(&path).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Exposed);
    }

    #[tokio::test]
    async fn links_and_foreign_files_are_refused_unseen() {
        let directory = tempfile::tempdir().unwrap();
        let store = FileStore::new(directory.path().join("tokens")).unwrap();
        let kept = token();
        let other = key().with_issuer("https://as.test");
        store
            .save(&other, Save::new(&kept, UNIX_EPOCH))
            .await
            .unwrap();
        let file = |key: &TokenKey| store.directory().join(format!("{}.json", key.digest()));
        fs::copy(file(&other), file(&key())).unwrap();
        let error = store.load(&key()).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Corrupt);
        for content in [
            "",
            "{",
            "canary",
            "{\"version\":1,\"access_token\":\"canary\"}",
        ] {
            fs::write(file(&key()), content).unwrap();
            let error = store.load(&key()).await.unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Corrupt);
            assert!(!format!("{error} {error:?}").contains("canary"));
        }
        fs::remove_file(file(&key())).unwrap();
        std::os::unix::fs::symlink(file(&other), file(&key())).unwrap();
        let error = store.load(&key()).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_hangs_with_the_lock_is_not_waited_for_for_ever() {
        let directory = tempfile::tempdir().unwrap();
        let store = FileStore::new(directory.path().join("tokens")).unwrap();
        let lock = store.directory().join(format!("{}.lock", key().digest()));
        let held = fs::File::create(lock).unwrap();
        rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
        let kept = token();
        let begun = tokio::time::Instant::now();
        let error = store
            .save(&key(), Save::new(&kept, UNIX_EPOCH))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        assert!(begun.elapsed() < Duration::from_secs(11));
        drop(held);
        let saved = store.save(&key(), Save::new(&kept, UNIX_EPOCH)).await;
        assert!(saved.is_ok());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn of_many_swaps_at_once_one_is_made() {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(FileStore::new(directory.path().join("tokens")).unwrap());
        let tasks: Vec<_> = (0..32)
            .map(|number| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    let token = Token::new(format!("test-{number}"));
                    let save = Save::new(&token, UNIX_EPOCH).expecting(crate::Expected::Nothing);
                    store.save(&key(), save).await.unwrap()
                })
            })
            .collect();
        let mut stored = 0;
        for task in tasks {
            stored += u32::from(matches!(task.await.unwrap(), Saved::Stored(_)));
        }
        assert_eq!(stored, 1);
    }
}
