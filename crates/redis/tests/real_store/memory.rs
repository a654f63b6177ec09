//! What tokens cost.

use super::*;

/// 100,000 users with a signed token each, as large issuers make them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: cargo nextest run -p mcp-redis --run-ignored only memory --no-capture"]
async fn a_token_takes_less_than_two_kibibytes() {
    const USERS: usize = 100_000;
    const AT_ONCE: usize = 64;

    let server = RedisServer::start();
    let used = || {
        let info = server.command(&["INFO", "memory"]);
        let line = info
            .lines()
            .find_map(|line| line.strip_prefix("used_memory:"));
        line.unwrap().trim().parse::<usize>().unwrap()
    };
    let store = store(&server);
    seed(&store, "first", "test-refresh").await;
    let before = used();
    let access = format!("test-{}", "a".repeat(895));
    let refresh = format!("test-{}", "r".repeat(195));
    let workers: Vec<_> = (0..AT_ONCE)
        .map(|worker| {
            let (store, access, refresh) = (store.clone(), access.clone(), refresh.clone());
            tokio::spawn(async move {
                for user in (worker..USERS).step_by(AT_ONCE) {
                    let token = Token::new(access.as_str())
                        .with_refresh_token(refresh.as_str())
                        .with_scopes(["read", "write", "offline_access"])
                        .with_expiry(Expiry::At(now() + 3600 * SECOND));
                    let key = key(&format!("user-{user}")).with_issuer("https://as.test");
                    let lease = store.lease(&key, SECOND).await.unwrap().unwrap();
                    let save = Save::new(&token, now()).under(&lease);
                    store.save(&key, save).await.unwrap();
                    store.release(&key, lease).await.unwrap();
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    let each = (used() - before) / USERS;
    let of = |pattern: &str| {
        let page = server.command(&["SCAN", "0", "MATCH", pattern, "COUNT", "10000"]);
        let name = page
            .lines()
            .find(|line| line.contains("mcp:"))
            .unwrap()
            .to_owned();
        server.command(&["MEMORY", "USAGE", &name])
    };
    println!(
        "{USERS} tokens of 900 + 200 bytes: {each} bytes each in all; a token's key {}, a lease's key {}",
        of("mcp:token:*"),
        of("mcp:lease:*"),
    );
    assert!(each < 2048, "{each}");
}
