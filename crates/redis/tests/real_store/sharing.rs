//! Many replicas in any order, against an issuer whose refresh tokens work once.

use std::sync::atomic::{AtomicUsize, Ordering};

use mcp_auth::testing::RotatingIssuer;
use mcp_auth::{Recovery, Rejection};

use super::*;

const REPLICAS: usize = 8;
const USERS: usize = 3;
const STEPS: usize = 300;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_replicas_do_no_refresh_token_is_used_twice_and_no_login_is_lost() {
    let server = RedisServer::start();
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let issuers: Vec<_> = (0..USERS)
        .map(|_| RotatingIssuer::new(Duration::from_millis(100)).with_delay(SECOND / 500))
        .collect();
    let refused = Arc::new(AtomicUsize::new(0));
    let replicas: Vec<_> = (0..REPLICAS)
        .map(|number| {
            let (issuers, refused) = (issuers.clone(), Arc::clone(&refused));
            let url = server.url();
            tokio::spawn(async move {
                let mut chance = fastrand::Rng::with_seed(seed ^ (number as u64) << 32);
                live(&url, &issuers, &mut chance, &refused).await;
            })
        })
        .collect();
    for replica in replicas {
        replica.await.unwrap();
    }
    let issued: u64 = issuers.iter().map(RotatingIssuer::issued).sum();
    println!(
        "{issued} tokens, {} refused",
        refused.load(Ordering::SeqCst)
    );
    assert!(issued > 20, "{issued}");
    for issuer in &issuers {
        assert_eq!(issuer.reused(), 0);
    }
}

/// One replica: asks, is refused, forgets all it holds, loses its connections.
async fn live(
    url: &str,
    issuers: &[RotatingIssuer],
    chance: &mut fastrand::Rng,
    refused: &AtomicUsize,
) {
    let open = || RedisTokenStore::new(config(url).open().unwrap(), sealing());
    let begin = |store: &RedisTokenStore| -> Vec<_> {
        let users = issuers.iter().enumerate();
        users
            .map(|(user, issuer)| replica(store, issuer.clone(), &format!("user-{user}")))
            .collect()
    };
    let mut store = open();
    let mut providers = begin(&store);
    for _ in 0..STEPS {
        let user = chance.usize(0..USERS);
        let provider = &providers[user];
        let held = ask_on(provider).await;
        match chance.u32(0..100) {
            0..10 => {
                let (server, principal) = (ServerId::new("server").unwrap(), Principal::local());
                let request = CredentialRequest::new(&server, &principal);
                let status = http::StatusCode::UNAUTHORIZED;
                let recovery = provider
                    .rejected(Rejection::new(request, &held, status))
                    .await;
                let good = matches!(recovery, Ok(Recovery::Retry | Recovery::GiveUp));
                let late = recovery.as_ref().is_err_and(CredentialError::is_transient);
                assert!(good || late, "{recovery:?}");
                refused.fetch_add(1, Ordering::SeqCst);
            }
            10..14 => providers = begin(&store),
            14..16 => {
                store = open();
                providers = begin(&store);
            }
            // Holds the right to refresh for a moment, and does nothing with it.
            16..20 => {
                let key = key(&format!("user-{user}"));
                if let Some(lease) = store.lease(&key, SECOND).await.unwrap() {
                    tokio::time::sleep(Duration::from_millis(chance.u64(0..30))).await;
                    if chance.bool() {
                        store.release(&key, lease).await.unwrap();
                    }
                }
            }
            _ => tokio::time::sleep(Duration::from_millis(chance.u64(0..15))).await,
        }
    }
}
