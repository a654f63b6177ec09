//! Ways to reach Redis: a password, an ACL user, TLS, Sentinel, a cluster of one node.

use std::error::Error as _;

use mcp_auth::{SecretRef, StoreErrorKind, testing::check_store};
use mcp_redis::RedisErrorKind;
use mcp_testbed::redis::{RedisOptions, RedisSentinel};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use super::*;

/// What the README asks for, for the prefix `team`.
const RIGHTS: &str = "~team:* &team:* +@read +@write +@scripting +@pubsub +@connection +info +role +time +cluster|slots";

#[tokio::test]
async fn a_user_needs_its_password_and_sees_its_prefix_alone() {
    let server = RedisOptions::new()
        .password("test-password")
        .user("team", "test-team-password", RIGHTS)
        .start();
    let at = |user: &str, password: &str| {
        let config = config(&server.url()).user(user);
        config.password(SecretRef::literal(password))
    };
    let right = at("team", "test-team-password").prefix("team").unwrap();
    let right = right.open().unwrap();
    assert!(!right.version().await.unwrap().is_empty());
    let store = RedisTokenStore::new(right, sealing());
    check_store(Arc::new(store)).await.unwrap();

    for wrong in [
        at("team", "canary-wrong").prefix("team").unwrap(),
        at("nobody", "test-team-password").prefix("team").unwrap(),
        config(&server.url()),
        // Another prefix than the user may touch.
        at("team", "test-team-password"),
    ] {
        let store = RedisTokenStore::new(wrong.open().unwrap(), sealing());
        let error = store.load(&key("alice")).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Refused, "{error:?}");
        assert!(!format!("{error} {error:?} {store:?}").contains("canary"));
    }
}

#[tokio::test]
async fn a_password_file_that_changes_is_read_anew() {
    let mut server = RedisOptions::new().password("test-first").start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "test-first\n").unwrap();
    let config = config(&server.url()).password(SecretRef::file(&file));
    let store = RedisTokenStore::new(config.open().unwrap(), sealing());
    seed(&store, "alice", "test-refresh").await;
    std::fs::write(&file, "test-second\n").unwrap();
    server.command(&["CONFIG", "SET", "requirepass", "test-second"]);
    server.change_password("test-second");
    server.restart();
    wait_for(async || store.load(&key("alice")).await.is_ok()).await;
}

#[tokio::test]
async fn everybody_hears_why_a_password_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let missing = SecretRef::file(folder.path().join("missing"));
    let redis = config("redis://127.0.0.1:1").password(missing);
    let redis = redis.open().unwrap();
    // Who asks first tries; who asks right after it is told what came of that.
    for _ in 0..3 {
        let error = redis.version().await.unwrap_err();
        assert_eq!(error.kind(), RedisErrorKind::Config);
        assert_eq!(error.to_string(), "the password of Redis cannot be read");
        assert!(error.source().is_some(), "{error:?}");
    }
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn tls_believes_its_roots_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(path("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(path("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let server = RedisOptions::new()
        .tls(&path("cert.pem"), &path("key.pem"))
        .start();
    let url = format!("rediss://localhost:{}", server.tls_port());
    let good = config(&url).tls_roots_pem(made.cert.pem()).open().unwrap();
    assert!(!good.version().await.unwrap().is_empty());
    check_store(Arc::new(RedisTokenStore::new(good, sealing())))
        .await
        .unwrap();

    // The right certificate under another name, and a certificate that nobody vouches for.
    let other_name = url.replace("localhost", "127.0.0.1");
    for bad in [
        config(&other_name).tls_roots_pem(made.cert.pem()),
        config(&url),
    ] {
        let error = bad.open().unwrap().version().await.unwrap_err();
        assert_eq!(error.kind(), RedisErrorKind::Unreachable, "{error:?}");
    }
}

/// Where this test, started by itself with other roots, finds one server and a cluster.
#[cfg(all(feature = "tls", feature = "cluster"))]
const SERVERS: &str = "MCP_REDIS_TEST_SERVERS";

#[cfg(all(feature = "tls", feature = "cluster"))]
#[tokio::test]
async fn a_cluster_believes_whom_one_server_does() {
    const ITSELF: &str = "addresses::a_cluster_believes_whom_one_server_does";
    if let Ok(servers) = std::env::var(SERVERS) {
        for url in servers.split(' ') {
            let version = config(url).open().unwrap().version().await;
            assert!(version.is_ok(), "{url}: {version:?}");
        }
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    std::fs::write(path("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(path("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let options = || RedisOptions::new().tls(&path("cert.pem"), &path("key.pem"));
    let authority = path("cert.pem").display().to_string();
    // So that a cluster names its nodes by their ports for TLS.
    let with_tls = ["--tls-cluster", "yes", "--tls-ca-cert-file", &authority];
    let node = options().cluster().arguments(&with_tls);
    let (one, node) = (options().start(), node.start());
    let one = format!("rediss://localhost:{}", one.tls_port());
    let cluster = format!("rediss-cluster://localhost:{}", node.tls_port());
    let own = config(&cluster).tls_roots_pem(made.cert.pem());
    let version = own.open().unwrap().version().await;
    assert!(version.is_ok(), "{version:?}");

    // The system's roots, an odd one among them as hosts have it; read once by each process.
    let odd = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    std::fs::write(path("roots.pem"), format!("{odd}{}", made.cert.pem())).unwrap();
    let ran = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", ITSELF])
        .env("SSL_CERT_FILE", path("roots.pem"))
        .env(SERVERS, format!("{one} {cluster}"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success() && said.contains("1 passed"), "{said}");
}

#[tokio::test]
async fn sentinels_say_where_the_primary_is() {
    let server = RedisOptions::new().password("test-password").start();
    let sentinel = RedisSentinel::start(&server, "agents");
    // The first of them is dead.
    let url = format!(
        "redis-sentinel://:test-password@127.0.0.1:1/agents?node=127.0.0.1:{}",
        sentinel.port()
    );
    // The sentinel itself takes no password.
    let config = config(&url);
    let store = RedisTokenStore::new(config.open().unwrap(), sealing());
    check_store(Arc::new(store)).await.unwrap();

    let unknown = config_for_unknown_service(&sentinel);
    let error = unknown.open().unwrap().version().await.unwrap_err();
    assert_eq!(error.kind(), RedisErrorKind::Unreachable);
}

fn config_for_unknown_service(sentinel: &RedisSentinel) -> RedisConfig {
    RedisConfig::sentinel([("127.0.0.1", sentinel.port())], "strangers")
}

#[tokio::test]
async fn sentinels_have_a_login_of_their_own() {
    let server = RedisOptions::new().password("test-password").start();
    let sentinel = RedisSentinel::start(&server, "agents");
    let user =
        "ACL SETUSER watcher on >test-watcher +@connection +sentinel|get-master-addr-by-name";
    for command in [user, "ACL SETUSER default off"] {
        assert_eq!(at_once(sentinel.port(), command).await, "+OK");
    }
    let url = format!(
        "redis-sentinel://:test-password@127.0.0.1:{}/agents",
        sentinel.port()
    );
    let watcher = || SecretRef::literal("test-watcher");
    let right = config(&url).sentinel_login(Some("watcher".into()), watcher());
    assert!(right.open().unwrap().version().await.is_ok());
    // Nobody but who is named appears there.
    let error = config(&url).open().unwrap().version().await.unwrap_err();
    assert_eq!(error.kind(), RedisErrorKind::Refused, "{error:?}");
}

/// The first line that somebody without a password is answered.
async fn at_once(port: u16, command: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port))
        .await
        .unwrap();
    let command = format!("{command}\r\n");
    stream.write_all(command.as_bytes()).await.unwrap();
    let mut lines = BufReader::new(stream).lines();
    lines.next_line().await.unwrap().unwrap()
}

#[cfg(feature = "cluster")]
#[tokio::test]
async fn in_a_cluster_all_keys_of_a_token_lie_in_one_slot() {
    use mcp_auth::testing::RotatingIssuer;

    let server = RedisOptions::new()
        .cluster()
        .password("test-password")
        .user("team", "test-team-password", RIGHTS)
        .start();
    let url = format!(
        "redis-cluster://team:test-team-password@127.0.0.1:{}",
        server.port()
    );
    let connect = || config(&url).prefix("team").unwrap().open().unwrap();
    assert!(!connect().version().await.unwrap().is_empty());
    let open = || RedisTokenStore::new(connect(), sealing());
    check_store(Arc::new(open())).await.unwrap();
    seed(&open(), "alice", "test-refresh").await;
    let lease = open().lease(&key("alice"), SECOND).await.unwrap().unwrap();
    let names = server.command(&["KEYS", "*"]);
    let mut slots: Vec<_> = names
        .lines()
        .filter(|name| name.contains(&key("alice").digest()))
        .map(|name| server.command(&["CLUSTER", "KEYSLOT", name]))
        .collect();
    assert_eq!(slots.len(), 2, "{names}");
    slots.dedup();
    assert_eq!(slots.len(), 1);
    drop(lease);

    // Scripts that the server has forgotten are sent anew, and losers hear of the winner's token.
    server.command(&["SCRIPT", "FLUSH"]);
    let issuer = RotatingIssuer::new(600 * SECOND).with_delay(SECOND / 2);
    let replicas: Vec<_> = (0..4)
        .map(|_| replica(&open(), issuer.clone(), "bob"))
        .collect();
    let asking = replicas.iter().map(ask);
    for asked in futures(asking).await {
        assert_eq!(text(&asked.unwrap()), "Bearer test-access-1");
    }
    assert_eq!((issuer.issued(), issuer.reused()), (1, 0));
}

#[cfg(feature = "cluster")]
async fn futures<T>(all: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    futures_util::future::join_all(all).await
}
