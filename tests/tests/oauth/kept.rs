//! What stays in the store: all that a login needs, and nothing of those who never log in.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};

use mcp_core::auth::testing::{ScriptedStore, StoreCall};
use mcp_core::auth::{
    Expiry, FileStore, MaybeReady, MemoryStore, StoreError, StoreErrorKind, TokenKey, TokenStore,
};

use super::*;

/// Longer than a begun authorization lives.
const LONG: Duration = Duration::from_secs(601);

fn clock() -> ManualClock {
    ManualClock::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000))
}

fn user(name: impl std::fmt::Display) -> Principal {
    Principal::new(name.to_string()).unwrap()
}

async fn login(provider: &OAuth, user: &Principal) {
    let begun = provider.begin(user, AuthorizationRequest::new()).await;
    let callback = consent(&begun.unwrap().authorize_url).await;
    provider.complete(&callback).await.unwrap();
}

/// A store that forgets nothing by itself, tells what it has that never ends, and may be unable to
/// delete.
struct Shelf {
    store: Arc<ScriptedStore>,
    endless: Arc<Mutex<HashSet<TokenKey>>>,
    is_stuck: Arc<AtomicBool>,
}

impl Shelf {
    fn new() -> Self {
        let (endless, is_stuck) = (Arc::<Mutex<HashSet<TokenKey>>>::default(), Arc::default());
        let (ends, stuck) = (Arc::clone(&endless), Arc::<AtomicBool>::clone(&is_stuck));
        let store = ScriptedStore::new(move |call| {
            let mut endless = ends.lock().unwrap();
            match call {
                StoreCall::Save(key, save) if save.token.expiry() == Expiry::Never => {
                    endless.insert(key.clone());
                }
                StoreCall::Delete(_) if stuck.load(Ordering::Relaxed) => {
                    let message = "the disk is read-only";
                    let error = StoreError::new(StoreErrorKind::Unavailable, message);
                    return MaybeReady::ready(Err(error));
                }
                StoreCall::Save(key, _) | StoreCall::Delete(key) => drop(endless.remove(key)),
                _ => {}
            }
            MaybeReady::ready(Ok(()))
        });
        Self {
            store: Arc::new(store),
            endless,
            is_stuck,
        }
    }

    fn shared(&self) -> SharedStore {
        Arc::clone(&self.store) as SharedStore
    }

    /// Whose things stay for ever, this program's own left out.
    fn endless(&self) -> Vec<String> {
        let endless = self.endless.lock().unwrap();
        let whose = endless.iter().map(TokenKey::principal);
        let mut users: Vec<_> = whose
            .filter(|whose| **whose != Principal::local())
            .map(|whose| whose.user().to_owned())
            .collect();
        users.sort();
        users
    }
}

#[tokio::test]
async fn nothing_stays_of_users_who_never_log_in() {
    let server = AuthServer::start().await;
    for redirects in [true, false] {
        let shelf = Shelf::new();
        let mut provider = OAuth::builder(id(), HttpUrl::parse(&server.url()).unwrap());
        if redirects {
            provider = provider.redirect_uri(REDIRECT);
        }
        let provider = provider.store(shelf.shared()).build();
        let resource = resource(&server, &provider);
        for visitor in 0..3 {
            let error = call(&resource, &user(visitor)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NeedsAuthorization);
        }
        assert_eq!(shelf.endless(), [""; 0]);
        if redirects {
            login(&provider, &alice()).await;
            assert_eq!(shelf.endless(), ["alice"]);
            provider.logout(&alice()).await.unwrap();
            assert_eq!(shelf.endless(), [""; 0]);
        }
    }
}

#[tokio::test]
async fn files_of_users_who_never_log_in_are_cleared_away() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("store");
    let store = FileStore::new(&place).unwrap();
    let (server, clock) = (AuthServer::start().await, clock());
    let provider = oauth(&server)
        .store(Arc::new(store))
        .clock(clock.shared())
        .build();
    let mut kept = Vec::new();
    for round in 0..4 {
        for visitor in 0..5 {
            let user = user(format!("user-{round}-{visitor}"));
            let request = AuthorizationRequest::new();
            provider.begin(&user, request).await.unwrap();
        }
        let files = std::fs::read_dir(&place).unwrap();
        // Locks stay, and hold nothing.
        let full = files.filter(|file| file.as_ref().unwrap().metadata().unwrap().len() > 0);
        kept.push(full.count());
        clock.advance(LONG);
    }
    // What was begun in the round before makes way.
    assert!(kept.iter().all(|count| *count == kept[0]), "{kept:?}");
}

#[tokio::test]
async fn a_login_outlives_what_it_began_with() {
    let server = AuthServer::start().await;
    let store: SharedStore = Arc::new(MemoryStore::new());
    let clock = clock();
    let process = || {
        let store = Arc::clone(&store);
        oauth(&server).store(store).clock(clock.shared())
    };
    // One whose user is there, and one whose user comes back.
    let (asking, telling) = (process().handler(Yes).build(), process().build());
    call(&resource(&server, &asking), &alice()).await.unwrap();
    let bob = user("bob");
    let told = call(&resource(&server, &telling), &bob).await.unwrap_err();
    assert_eq!(told.kind(), ErrorKind::NeedsAuthorization);
    clock.advance(LONG);
    // Of what he was told at first nothing is left, and this process still knows the issuer.
    login(&telling, &bob).await;
    clock.advance(LONG);
    // A process that knows nothing of them finds what there is to give up.
    for user in [&alice(), &bob] {
        let out = process().build().logout(user).await.unwrap();
        assert_eq!((out.had_token, out.revoked), (true, true), "{user}");
    }
    assert_eq!(server.refresh_tokens(), 0);
    assert_eq!(server.count("/token"), 2);
}

#[tokio::test]
async fn a_login_does_not_fail_with_what_cannot_be_cleared_away() {
    let server = AuthServer::start().await;
    let (shelf, clock) = (Shelf::new(), clock());
    let provider = oauth(&server)
        .store(shelf.shared())
        .clock(clock.shared())
        .build();
    let begin = async |name: &str| {
        let request = AuthorizationRequest::new();
        provider.begin(&user(name), request).await.map(|_| ())
    };
    begin("alice").await.unwrap();
    clock.advance(LONG);
    shelf.is_stuck.store(true, Ordering::Relaxed);
    begin("bob").await.unwrap();
    // It is tried again.
    shelf.is_stuck.store(false, Ordering::Relaxed);
    begin("carol").await.unwrap();
    let key = TokenKey::new(id(), alice()).with_issuer("account");
    assert!(shelf.store.load(&key).await.unwrap().is_none());
}

#[tokio::test]
async fn what_cannot_be_deleted_is_revoked_all_the_same() {
    let server = AuthServer::start().await;
    let shelf = Shelf::new();
    let provider = oauth(&server).store(shelf.shared()).handler(Yes).build();
    call(&resource(&server, &provider), &alice()).await.unwrap();
    shelf.is_stuck.store(true, Ordering::Relaxed);
    let error = provider.logout(&alice()).await.unwrap_err();
    assert!(error.to_string().contains("store"), "{error}");
    assert_eq!(server.count("/revoke"), 2);
    assert_eq!(server.refresh_tokens(), 0);
}
