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
use super::world::{MODERN, OAUTH, OLD, SESSIONS, World};

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
                    let _going = world.faults.begin(server, Some(user), Fault::Forbidden);
                    world.forbid(server, user);
                    sleep(pause).await;
                    world.allow_all();
                }
            }
            4 => {
                let places = [MODERN, SESSIONS, OLD];
                let _going = places.map(|it| world.faults.begin(it, None, Fault::NoToken));
                world.no_tokens.store(true, Ordering::Relaxed);
                sleep(pause).await;
                world.no_tokens.store(false, Ordering::Relaxed);
            }
            5 => {
                let _going = world.faults.begin(OAUTH, None, Fault::NoToken);
                servers.auth.reply("/token", Reply::json(503, &json!({})));
                sleep(pause).await;
                servers.auth.relent("/token");
            }
            6 => {
                for user in &users {
                    world.revoke(user);
                }
            }
            _ => {
                world.faults.note(OAUTH, None, Fault::Refused);
                servers.auth.end_access();
            }
        }
    }
    world.is_stormy.store(false, Ordering::Relaxed);
}
