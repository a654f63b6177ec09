//! Servers that can be restarted at their ports, each in its dialect.

mod answers;
mod modern;
mod old;
mod sessions;

use std::sync::Arc;
use std::time::Duration;

use mcp_testbed::fault::{FaultServer, Request, Wire};
use mcp_testbed::oauth::AuthServer;
use tokio::sync::Mutex;

use super::faults::Fault;
use super::world::{MODERN, OAUTH, OLD, SESSIONS, World};

/// All of them.
pub(super) struct Servers {
    pub(super) modern: Restartable,
    pub(super) sessions: Restartable,
    pub(super) old: Restartable,
    pub(super) resource: Restartable,
    pub(super) auth: Arc<AuthServer>,
}

impl Servers {
    pub(super) async fn start(world: &Arc<World>) -> Self {
        let auth = Arc::new(AuthServer::start().await);
        auth.lifetime(4);
        let start = async |name| Restartable::start(name, world, &auth).await;
        Self {
            modern: start(MODERN).await,
            sessions: start(SESSIONS).await,
            old: start(OLD).await,
            resource: start(OAUTH).await,
            auth,
        }
    }

    pub(super) fn all(&self) -> [&Restartable; 4] {
        [&self.modern, &self.sessions, &self.old, &self.resource]
    }

    /// What they remember of requests would fill memory.
    pub(super) async fn forget(&self) {
        self.auth.forget_all_but(2_000);
        for server in self.all() {
            if let Some(running) = &*server.running.lock().await {
                running.forget();
            }
        }
    }
}

/// A server that keeps its port when it goes and comes.
pub(super) struct Restartable {
    pub(super) name: &'static str,
    port: u16,
    world: Arc<World>,
    auth: Arc<AuthServer>,
    running: Mutex<Option<FaultServer>>,
}

impl Restartable {
    async fn start(name: &'static str, world: &Arc<World>, auth: &Arc<AuthServer>) -> Self {
        let running = run(name, 0, world, auth).await;
        Self {
            name,
            port: running.port(),
            world: Arc::clone(world),
            auth: Arc::clone(auth),
            running: Mutex::new(Some(running)),
        }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/mcp", self.port)
    }

    /// Goes with all its connections, and comes back after a while.
    pub(super) async fn restart(&self, down: Duration) {
        let mut running = self.running.lock().await;
        let _down = self.world.faults.begin(self.name, None, Fault::Restart);
        *running = None;
        if self.name == SESSIONS {
            self.world.forget_sessions();
        }
        tokio::time::sleep(down).await;
        *running = Some(run(self.name, self.port, &self.world, &self.auth).await);
    }
}

async fn run(
    name: &'static str,
    port: u16,
    world: &Arc<World>,
    auth: &Arc<AuthServer>,
) -> FaultServer {
    let old = old::Streams::new();
    let visit = Visit {
        name,
        world: Arc::clone(world),
        auth: Arc::clone(auth),
    };
    FaultServer::start_at(port, move |request, wire| {
        let (visit, old) = (visit.clone(), old.clone());
        async move {
            match visit.name {
                SESSIONS => sessions::answer(&visit, request, wire).await,
                OLD => old::answer(&visit, &old, request, wire).await,
                _ => modern::answer(&visit, request, wire).await,
            }
        }
    })
    .await
}

/// Where a request came.
#[derive(Clone)]
struct Visit {
    name: &'static str,
    world: Arc<World>,
    auth: Arc<AuthServer>,
}

/// What comes of a request before anybody looks into it.
enum Admission {
    /// It is this user's, and this happens to its answer.
    User(String, Fate, Wire),
    /// It was answered already, or the connection is gone.
    Over(Option<Wire>),
}

/// What happens to an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fate {
    Good,
    /// It is not sent.
    Reset,
    /// Half of it is sent.
    Cut,
    /// It is not JSON.
    Garbage,
}

impl Visit {
    fn note(&self, user: &str, fault: Fault) {
        self.world.faults.note(self.name, Some(user), fault);
    }

    /// Whose the token is.
    fn owner(&self, token: &str) -> Option<String> {
        if self.name != OAUTH {
            return self.world.owner(token);
        }
        let scopes = self.auth.scopes_of(token)?;
        let mut scopes = scopes.split(' ');
        scopes.find_map(|scope| Some(scope.strip_prefix("user-")?.to_owned()))
    }

    /// Looks at the token, and throws the dice.
    async fn admit(&self, request: &Request, mut wire: Wire) -> Admission {
        let authorization = request.header("authorization").unwrap_or_default();
        let token = authorization.strip_prefix("Bearer ").unwrap_or_default();
        let Some(user) = self.owner(token) else {
            // Whose it was is written on it; on those of the authorization server it is not.
            let was = token.split('-').nth(2).unwrap_or_default().to_owned();
            if self.name != OAUTH {
                self.note(&was, Fault::Refused);
            }
            let challenge = match self.name {
                OAUTH => {
                    let host = request.header("host").unwrap_or_default();
                    format!("Bearer resource_metadata=\"http://{host}/prm\"")
                }
                _ => r#"Bearer error="invalid_token""#.to_owned(),
            };
            let headers = [("WWW-Authenticate", challenge.as_str())];
            let sent = wire.respond(401, &headers, "").await;
            return Admission::Over(sent.then_some(wire));
        };
        if self.world.is_forbidden(self.name, &user) {
            self.note(&user, Fault::Forbidden);
            let sent = wire.respond(403, &[], "not now").await;
            return Admission::Over(sent.then_some(wire));
        }
        if !self.world.is_stormy() || request.method != "POST" {
            return Admission::User(user, Fate::Good, wire);
        }
        let fate = match fastrand::u32(0..1_000) {
            0..6 => {
                self.note(&user, Fault::Reset);
                return Admission::Over(None);
            }
            6..12 => {
                self.note(&user, Fault::Reset);
                Fate::Reset
            }
            12..18 => {
                self.note(&user, Fault::Cut);
                Fate::Cut
            }
            18..22 => {
                self.note(&user, Fault::Garbage);
                Fate::Garbage
            }
            22..28 => {
                self.note(&user, Fault::Status);
                let status = if fastrand::bool() { 500 } else { 503 };
                let sent = wire.respond(status, &[], "out of order").await;
                return Admission::Over(sent.then_some(wire));
            }
            28..60 => {
                tokio::time::sleep(Duration::from_millis(fastrand::u64(1..100))).await;
                Fate::Good
            }
            _ => Fate::Good,
        };
        Admission::User(user, fate, wire)
    }
}

impl Fate {
    /// Sends an answer, or what becomes of it.
    async fn send(self, mut wire: Wire, headers: &[(&str, &str)], body: &str) -> Option<Wire> {
        match self {
            Self::Good => wire.respond(200, headers, body).await.then_some(wire),
            Self::Reset => None,
            Self::Cut => {
                let half = body.get(..body.len() / 2).unwrap_or_default();
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n", body.len());
                wire.raw(format!(
                    "{head}Content-Type: application/json\r\n\r\n{half}"
                ))
                .await;
                None
            }
            Self::Garbage => {
                let sent = wire.respond(200, headers, "{\"jsonrpc\": so-so").await;
                sent.then_some(wire)
            }
        }
    }
}
