//! An authorization server and its resource in one, that misbehave as a test says.
//!
//! Left alone it is a good one: metadata, dynamic registration, codes with PKCE, rotating refresh
//! tokens that end when they are used twice, client credentials, assertions, device code,
//! revocation, tokens bound to a key. Its tokens are counted: `test-access-1`, `test-refresh-1`, …

mod dpop;
mod endpoints;
mod lives;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;

use crate::fault::{FaultServer, Request};

/// The server. Dropping it closes every connection.
#[derive(Debug)]
pub struct AuthServer {
    server: FaultServer,
    state: Arc<Mutex<State>>,
}

/// An answer in place of the server's own.
#[derive(Clone, Debug)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

#[derive(Debug, Default)]
struct State {
    /// Answers by path: the last stays.
    replies: HashMap<String, VecDeque<Reply>>,
    /// Merged into the metadata of the authorization server and of the resource.
    server_metadata: Value,
    resource_metadata: Value,
    /// In the resource's challenge, beside the scope.
    challenge: Option<String>,
    /// Scopes that a `tools/call` needs.
    needed: Option<String>,
    lifetime: u64,
    count: u64,
    codes: HashMap<String, Code>,
    access: BTreeMap<String, Granted>,
    refresh: HashMap<String, Granted>,
    /// Refresh tokens that were used, and those that came again.
    used: BTreeSet<String>,
    reused: usize,
    token_delay: Duration,
    /// Paths whose requests wait.
    held: watch::Sender<BTreeSet<String>>,
    lives: lives::Lives,
    proofs: dpop::Proofs,
    clients: BTreeSet<String>,
    device_approved: bool,
    echo: Option<String>,
}

/// What the user consented to.
#[derive(Debug)]
struct Code {
    challenge: String,
    granted: Granted,
}

/// What a token is good for, and the thumbprint of the key that it is of no use without.
#[derive(Clone, Debug, Default)]
struct Granted {
    scopes: String,
    key: Option<String>,
}

impl Reply {
    /// JSON with a status.
    pub fn json(status: u16, body: &Value) -> Self {
        Self {
            status,
            headers: vec![("Content-Type".to_owned(), "application/json".to_owned())],
            body: body.to_string(),
        }
    }

    /// An error of the token endpoint.
    pub fn error(code: &str, description: &str) -> Self {
        let body = serde_json::json!({"error": code, "error_description": description});
        Self::json(400, &body)
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

impl AuthServer {
    /// Starts one whose tokens live for an hour.
    ///
    /// # Panics
    /// When no port can be had.
    pub async fn start() -> Self {
        let state = Arc::new(Mutex::new(State {
            lifetime: 3600,
            ..State::default()
        }));
        let shared = Arc::clone(&state);
        let server = FaultServer::start(move |request: Request, wire| {
            let state = Arc::clone(&shared);
            async move { endpoints::answer(&state, &request, wire).await }
        })
        .await;
        Self { server, state }
    }

    /// Its origin, which is its issuer identifier.
    pub fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.server.port())
    }

    /// The resource.
    pub fn url(&self) -> String {
        format!("{}/mcp", self.issuer())
    }

    /// Answers the next request to a path like this, and all further ones until there is another
    /// reply.
    pub fn reply(&self, path: &str, reply: Reply) {
        let mut state = self.state();
        state
            .replies
            .entry(path.to_owned())
            .or_default()
            .push_back(reply);
    }

    /// Answers a path by itself again.
    pub fn relent(&self, path: &str) {
        self.state().replies.remove(path);
    }

    /// Changes fields of the authorization server's metadata; `null` removes one.
    pub fn server_metadata(&self, patch: Value) {
        self.state().server_metadata = patch;
    }

    /// Changes fields of the resource's metadata; `null` removes one.
    pub fn resource_metadata(&self, patch: Value) {
        self.state().resource_metadata = patch;
    }

    /// Puts parameters in place of those of the resource's challenge.
    pub fn challenge(&self, parameters: &str) {
        self.state().challenge = Some(parameters.to_owned());
    }

    /// Makes `tools/call` need a scope.
    pub fn need(&self, scope: &str) {
        self.state().needed = Some(scope.to_owned());
    }

    /// How long further tokens live, in seconds.
    pub fn lifetime(&self, seconds: u64) {
        self.state().lifetime = seconds;
    }

    /// Ends every access token.
    pub fn end_access(&self) {
        self.state().access.clear();
    }

    /// Ends every refresh token.
    pub fn end_refresh(&self) {
        self.state().refresh.clear();
    }

    /// Forgets every registered client.
    pub fn forget_clients(&self) {
        self.state().clients.clear();
    }

    /// The user types the code of the device grant.
    pub fn approve_device(&self) {
        self.state().device_approved = true;
    }

    /// Binds each token to the key of the proof that it is asked for with (RFC 9449), and says so in
    /// the metadata. Whoever proves nothing gets a bearer token.
    pub fn bind_tokens(&self) {
        self.state().proofs.binding = true;
    }

    /// Takes only proofs with a nonce, from now on with another one than before.
    pub fn demand_nonce(&self) {
        let mut state = self.state();
        state.count += 1;
        state.proofs.nonce = Some(format!("test-nonce-{}", state.count));
    }

    /// Makes the token endpoint refuse with this code and repeat everything that it was sent.
    pub fn echo(&self, code: &str) {
        self.state().echo = Some(code.to_owned());
    }

    /// How many refresh tokens are good now.
    pub fn refresh_tokens(&self) -> usize {
        self.state().refresh.len()
    }

    /// How many refresh tokens came that had been used before. One that was revoked, or that is
    /// unknown, is none of them.
    pub fn reused(&self) -> usize {
        self.state().reused
    }

    /// Takes a refresh token again while nobody has shown what was given for it, as servers do that
    /// know that answers are lost; what was given then ends.
    pub fn forgive_lost_answers(&self) {
        self.state().lives.forgiving = true;
    }

    /// Keeps back the answers of the token endpoint for so long, after the deed is done.
    pub fn delay_tokens(&self, time: Duration) {
        self.state().token_delay = time;
    }

    /// Lets requests to a path wait, before anything is done, until they are [let go](Self::let_go).
    pub fn hold(&self, path: &str) {
        let held = &self.state().held;
        held.send_if_modified(|held| held.insert(path.to_owned()));
    }

    /// Answers the requests to a path that were held, and all that come.
    pub fn let_go(&self, path: &str) {
        let held = &self.state().held;
        held.send_if_modified(|held| held.remove(path));
    }

    /// Waits until a path has got so many requests.
    ///
    /// # Panics
    /// When they do not come in ten seconds.
    pub async fn asked(&self, path: &str, count: usize) {
        let come = async {
            while self.count(path) < count {
                tokio::task::yield_now().await;
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(10), come).await;
        assert!(in_time.is_ok(), "{path} got {} requests", self.count(path));
    }

    /// How often a refresh token was taken again.
    pub fn forgiven(&self) -> usize {
        self.state().lives.forgiven
    }

    /// How many refresh tokens were refused.
    pub fn refused(&self) -> usize {
        self.state().lives.refused
    }

    /// How many tokens were had by a refresh, and how many of these while the one before had more
    /// than half of its life left.
    pub fn refreshed(&self) -> (usize, usize) {
        let state = self.state();
        (state.lives.refreshed, state.lives.early)
    }

    /// The scopes of an access token, if it is good.
    pub fn scopes_of(&self, access: &str) -> Option<String> {
        Some(self.state().access.get(access)?.scopes.clone())
    }

    /// Forgets the requests so far and all access tokens but the last so many: they would fill memory
    /// in a long run.
    pub fn forget_all_but(&self, last: u64) {
        self.server.forget();
        let mut state = self.state();
        let oldest = state.count.saturating_sub(last);
        let number = |token: &str| token.rsplit('-').next().and_then(|it| it.parse().ok());
        let is_new = |token: &str| number(token).is_none_or(|number: u64| number > oldest);
        state.access.retain(|token, _| is_new(token));
        state.used.retain(|token| is_new(token));
        state.lives.forget_before(oldest);
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Request> {
        self.server.seen()
    }

    /// How many requests a path got, without its query.
    pub fn count(&self, path: &str) -> usize {
        let seen = self.seen();
        seen.iter()
            .filter(|it| it.path.split('?').next() == Some(path))
            .count()
    }

    /// The forms that a path got.
    pub fn forms(&self, path: &str) -> Vec<BTreeMap<String, String>> {
        let seen = self.seen();
        seen.iter()
            .filter(|it| it.path == path)
            .map(endpoints::form)
            .collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
