//! What befalls servers and issuers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mcp_testbed::oauth::Reply;
use mcp_toolkit::auth::time::Instant;
use serde_json::json;
use tokio::time::sleep;

use super::faults::Fault;
use super::servers::Servers;
use super::world::{CHILD, MODERN, OAUTH, OLD, SESSIONS, World};

/// Bad until the time is over, then good.
pub(super) async fn storm(
    world: Arc<World>,
    servers: Arc<Servers>,
    users: Vec<String>,
    until: Instant,
) {
    world.is_stormy.store(true, Ordering::Relaxed);
    while Instant::now() < until {
        sleep(Duration::from_millis(fastrand::u64(200..1_200))).await;
        let pause = Duration::from_millis(fastrand::u64(20..300));
        match fastrand::u8(..8) {
            0 | 1 => {
                let all = servers.all();
                if let Some(server) = fastrand::choice(all) {
                    server.restart(pause).await;
                }
            }
            2 => {
                world.faults.note(SESSIONS, None, Fault::Forgot);
                world.forget_sessions();
            }
            3 => {
                let server = fastrand::choice([MODERN, SESSIONS, OLD, OAUTH]);
                if let (Some(server), Some(user)) = (server, fastrand::choice(&users)) {
                    world.forbid(server, user);
                    sleep(pause).await;
                    world.allow_all();
                    world.faults.note(server, Some(user), Fault::Forbidden);
                }
            }
            4 => {
                world.no_tokens.store(true, Ordering::Relaxed);
                nobody_issues(&world);
                sleep(pause).await;
                world.no_tokens.store(false, Ordering::Relaxed);
                nobody_issues(&world);
            }
            5 => {
                servers.auth.reply("/token", Reply::json(503, &json!({})));
                world.faults.note(OAUTH, None, Fault::NoToken);
                sleep(pause).await;
                servers.auth.relent("/token");
                world.faults.note(OAUTH, None, Fault::NoToken);
            }
            6 => {
                for user in &users {
                    world.revoke(user);
                }
            }
            _ => servers.auth.end_access(),
        }
    }
    world.is_stormy.store(false, Ordering::Relaxed);
}

fn nobody_issues(world: &World) {
    for server in [MODERN, SESSIONS, OLD, CHILD] {
        world.faults.note(server, None, Fault::NoToken);
    }
}
