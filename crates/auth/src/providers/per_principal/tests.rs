//! Users kept apart, counted, forgotten.

use super::*;
use crate::testing::ScriptedSource;
use crate::{Bearer, MemoryStore, RefreshingToken, SharedStore, TokenKey};

fn bearers() -> PerPrincipal {
    PerPrincipal::new(|server, principal| {
        let token = format!("test-{}-{}", server.as_str(), principal.user());
        Ok(Bearer::new(token)?)
    })
}

async fn ask(provider: &PerPrincipal, server: &str, user: &str) -> String {
    let (server, user) = (
        ServerId::new(server).unwrap(),
        Principal::new(user).unwrap(),
    );
    let request = CredentialRequest::new(&server, &user);
    let found = provider.credentials(request).await.unwrap();
    found.headers()[0].1.to_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn users_and_servers_are_kept_apart() {
    let provider = bearers();
    for (server, user) in [("a", "x"), ("b", "x"), ("a", "y"), ("a", "x")] {
        let found = ask(&provider, server, user).await;
        assert_eq!(found, format!("Bearer test-{server}-{user}"));
    }
    assert_eq!(provider.len(), 3);
    provider.forget(&Principal::new("x").unwrap());
    assert_eq!(provider.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_million_users_seen_once_do_not_fill_memory() {
    let provider = bearers().capacity(100);
    for user in 0..10_000 {
        ask(&provider, "s", &user.to_string()).await;
        if user % 50 == 0 {
            ask(&provider, "s", "regular").await;
        }
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(provider.len() <= 100);
    }
    let known = provider.known.read().unwrap();
    let regular = Principal::new("regular").unwrap();
    assert!(known.entries.keys().any(|(_, user)| *user == regular));
}

#[tokio::test(start_paused = true)]
async fn idle_ones_go_first() {
    let provider = bearers().capacity(10).idle(Duration::from_secs(60));
    for user in 0..9 {
        ask(&provider, "s", &user.to_string()).await;
    }
    tokio::time::advance(Duration::from_secs(61)).await;
    // The first sweep notes that they were used; the next, a while later, finds them idle.
    ask(&provider, "s", "a").await;
    tokio::time::advance(Duration::from_secs(61)).await;
    ask(&provider, "s", "b").await;
    assert_eq!(provider.len(), 2);
    assert!(provider.known.read().unwrap().entries.len() < 10);
}

#[tokio::test(start_paused = true)]
async fn a_logout_takes_the_stored_token_of_one_user_at_one_server() {
    let store: SharedStore = Arc::new(MemoryStore::new());
    let (source, kept) = (ScriptedSource::new(), Arc::clone(&store));
    let provider = PerPrincipal::new(move |server, principal| {
        let token = RefreshingToken::new(source.clone());
        Ok(token.store(Arc::clone(&kept), TokenKey::new(server, principal)))
    });
    for (server, user) in [("a", "x"), ("b", "x"), ("a", "y")] {
        ask(&provider, server, user).await;
    }
    let (a, x) = (ServerId::new("a").unwrap(), Principal::new("x").unwrap());
    // Also where the provider has to be made for it.
    provider.forget(&x);
    provider
        .logged_out(CredentialRequest::new(&a, &x))
        .await
        .unwrap();
    assert_eq!(provider.len(), 1);
    for (server, user, kept) in [("a", "x", false), ("b", "x", true), ("a", "y", true)] {
        let (server, user) = (
            ServerId::new(server).unwrap(),
            Principal::new(user).unwrap(),
        );
        let found = store.load(&TokenKey::new(server, user)).await.unwrap();
        assert_eq!(found.is_some(), kept);
    }
    assert_eq!(ask(&provider, "a", "x").await, "Bearer test-token-4");
}

#[tokio::test(start_paused = true)]
async fn a_logout_elsewhere_takes_what_is_held_and_nothing_that_is_stored() {
    let store: SharedStore = Arc::new(MemoryStore::new());
    let (source, kept) = (ScriptedSource::new(), Arc::clone(&store));
    let replica = || {
        let (source, kept) = (source.clone(), Arc::clone(&kept));
        PerPrincipal::new(move |server, principal| {
            let token = RefreshingToken::new(source.clone());
            Ok(token.store(Arc::clone(&kept), TokenKey::new(server, principal)))
        })
    };
    let (here, elsewhere) = (replica(), replica());
    for (server, user) in [("a", "x"), ("b", "x"), ("a", "y")] {
        let token = ask(&elsewhere, server, user).await;
        assert_eq!(ask(&here, server, user).await, token);
    }
    let (a, x) = (ServerId::new("a").unwrap(), Principal::new("x").unwrap());
    let whom = |principal: &Principal| *principal == x;
    elsewhere
        .logged_out(CredentialRequest::new(&a, &x))
        .await
        .unwrap();
    // Until it is told, a replica has what it holds.
    assert_eq!(ask(&here, "a", "x").await, "Bearer test-token-1");
    here.logged_out_elsewhere(&a, &whom);
    assert_eq!(here.len(), 2);
    assert_eq!(ask(&here, "a", "x").await, "Bearer test-token-4");
    assert_eq!(ask(&here, "a", "y").await, "Bearer test-token-3");
    // Told too late, after another login: that one counts.
    here.logged_out_elsewhere(&a, &whom);
    assert_eq!(ask(&here, "a", "x").await, "Bearer test-token-4");
    // A provider that somebody has in hand is told as well.
    let key = TokenKey::new(a.clone(), x.clone());
    let single = RefreshingToken::new(source.clone()).store(Arc::clone(&store), key);
    let request = CredentialRequest::new(&a, &x);
    single.credentials(request).await.unwrap();
    single.logged_out_elsewhere(&a, &|_| false);
    assert!(single.credentials(request).now().is_ok());
    single.logged_out_elsewhere(&a, &whom);
    assert!(single.credentials(request).now().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_token_that_everybody_shares_outlives_a_logout() {
    let store: SharedStore = Arc::new(MemoryStore::new());
    let key = TokenKey::new(ServerId::new("s").unwrap(), Principal::local());
    let shared = RefreshingToken::new(ScriptedSource::new()).store(Arc::clone(&store), key);
    let (s, alice) = (
        ServerId::new("s").unwrap(),
        Principal::new("alice").unwrap(),
    );
    let request = CredentialRequest::new(&s, &alice);
    let before = shared.credentials(request).await.unwrap();
    shared.logged_out(request).await.unwrap();
    assert_eq!(shared.credentials(request).await.unwrap(), before);
    let local = Principal::local();
    let request = CredentialRequest::new(&s, &local);
    shared.logged_out(request).await.unwrap();
    assert_ne!(shared.credentials(request).await.unwrap(), before);
}

#[tokio::test(start_paused = true)]
async fn callers_of_one_new_user_share_one_refresh() {
    let source = ScriptedSource::new().with_delay(Duration::from_secs(1));
    let made = source.clone();
    let provider = Arc::new(PerPrincipal::new(move |_, _| {
        Ok(RefreshingToken::new(made.clone()))
    }));
    let tasks: Vec<_> = (0..200)
        .map(|_| {
            let provider = Arc::clone(&provider);
            tokio::spawn(async move { ask(&provider, "s", "alice").await })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), "Bearer test-token-1");
    }
    assert_eq!(source.calls(), 1);
}
