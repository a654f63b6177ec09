//! Callers who go away in the middle: what can be done only once is done all the same.

use mcp_core::auth::TokenKey;
use tokio::time::timeout;

use super::*;

#[tokio::test]
async fn a_logout_that_is_dropped_revokes_and_deletes() {
    let server = AuthServer::start().await;
    let store: SharedStore = Arc::new(MemoryStore::new());
    let process = || oauth(&server).store(Arc::clone(&store));
    let provider = process().handler(Yes).build();
    call(&resource(&server, &provider), &alice()).await.unwrap();
    server.hold("/revoke");
    let user = alice();
    tokio::select! {
        out = provider.logout(&user) => panic!("{out:?}"),
        () = server.asked("/revoke", 1) => {}
    }
    // Before the server has said anything, nothing is left here.
    let again = provider.logout(&alice()).await.unwrap();
    assert!(!again.had_token);
    let later = resource(&server, &process().build());
    let error = call(&later, &alice()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NeedsAuthorization);
    server.let_go("/revoke");
    server.asked("/revoke", 2).await;
    let forms = server.forms("/revoke");
    let revoked: Vec<_> = forms.iter().map(|form| form["token"].as_str()).collect();
    assert_eq!(revoked, ["test-refresh-3", "test-access-3"]);
    assert_eq!(server.refresh_tokens(), 0);
}

#[tokio::test]
async fn a_device_code_is_redeemed_though_nobody_waits_any_more() {
    let server = AuthServer::start().await;
    let store: SharedStore = Arc::new(MemoryStore::new());
    let clock = ManualClock::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000));
    let provider = oauth(&server)
        .grant(Grant::DeviceCode)
        .store(Arc::clone(&store))
        .clock(clock.shared())
        .build();
    server.approve_device();
    server.hold("/token");
    let time_goes_by = async {
        while server.count("/token") == 0 {
            clock.advance(Duration::from_secs(1));
            tokio::task::yield_now().await;
        }
    };
    let user = alice();
    tokio::select! {
        done = provider.login_on_device(&user, Duration::MAX, |_| {}) => panic!("{done:?}"),
        () = time_goes_by => {}
    }
    server.let_go("/token");
    let key = TokenKey::new(id(), alice()).with_issuer(server.issuer());
    let stored = async {
        while store.load(&key).await.unwrap().is_none() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, stored).await.unwrap();
    call(&resource(&server, &provider), &alice()).await.unwrap();
    assert_eq!(server.count("/token"), 1);
}
