//! What others said, until it is done.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

use mcp_core::auth::time::Instant;
use mcp_core::replicas::{BusEvent, Invalidation, PrincipalTag, Scope, Subscription};
use mcp_core::{Principal, ServerId};

use crate::CacheKey;
use crate::stats::count;
use crate::store::Store;

/// How often everything of one server is forgotten because others say so. All replicas hear a
/// server's notice and each tells all others: without this each notice would make everybody load
/// anew as often as there are replicas.
const EVERY: Duration = Duration::from_millis(500);

/// Events that are taken before they are acted on.
const TOGETHER: usize = 1_024;

/// Servers of whom it is known when they were last forgotten.
const MOST_SERVERS: usize = 1_024;

/// One pass over the cache does all that is there.
#[derive(Debug, Default)]
pub(super) struct Heard {
    connected: Option<bool>,
    /// Before the bus was there for the first time, nobody relied on it.
    was_connected: bool,
    missed: bool,
    everything: bool,
    count: u64,
    principals: Principals,
    servers: HashSet<ServerId>,
    last: HashMap<ServerId, Instant>,
}

/// By the group of their tags: most keys are done with after one look.
#[derive(Debug, Default)]
struct Principals(HashMap<u8, HashSet<(PrincipalTag, Option<ServerId>)>>);

impl Principals {
    fn add(&mut self, who: PrincipalTag, server: Option<ServerId>) {
        let group = self.0.entry(who.shard()).or_default();
        group.insert((who, server));
    }

    fn fits(&self, principal: &Principal, server: &ServerId) -> bool {
        let Some(group) = self.0.get(&PrincipalTag::shard_of(principal)) else {
            return false;
        };
        let tag = PrincipalTag::of(principal);
        let at = |at: &Option<ServerId>| at.as_ref().is_none_or(|at| at == server);
        group.iter().any(|(who, server)| *who == tag && at(server))
    }
}

impl Heard {
    pub(super) fn take(&mut self, event: BusEvent) {
        match event {
            BusEvent::Invalidated(invalidation) => self.add(invalidation),
            BusEvent::Away => self.connected = Some(false),
            BusEvent::Back => self.connected = Some(true),
            // What is not known here is at least this.
            _ => self.missed = true,
        }
    }

    pub(super) fn take_all_from(&mut self, subscription: &mut Subscription) {
        for _ in 0..TOGETHER {
            match subscription.next_now() {
                Some(event) => self.take(event),
                None => return,
            }
        }
    }

    fn add(&mut self, invalidation: Invalidation) {
        self.count += 1;
        let cause = invalidation.cause.as_str();
        tracing::debug!(cause, scope = ?invalidation.scope, "invalidated elsewhere");
        match invalidation.scope {
            Scope::PrincipalAt { who, server } => self.principals.add(who, Some(server)),
            Scope::Principal { who } => self.principals.add(who, None),
            Scope::Server { server } => {
                self.servers.insert(server);
            }
            _ => self.everything = true,
        }
    }

    /// What was said of the connection since it was asked last.
    pub(super) fn connected(&mut self) -> Option<bool> {
        self.connected.take()
    }

    /// When there is something to do that could not be done at once.
    pub(super) fn next_turn(&self) -> Option<Instant> {
        let turns = self.servers.iter().filter_map(|server| self.turn(server));
        turns.min()
    }

    /// `None` is now.
    fn turn(&self, server: &ServerId) -> Option<Instant> {
        self.last.get(server)?.checked_add(EVERY)
    }

    /// Does what it is time for.
    pub(super) async fn act(&mut self, store: &Store, now: Instant) {
        let counters = &store.counters;
        let heard = std::mem::take(&mut self.count);
        counters.heard.fetch_add(heard, Ordering::Relaxed);
        if std::mem::take(&mut self.missed) {
            self.everything = true;
            if self.was_connected {
                count(&counters.gaps);
                tracing::warn!("invalidations may have been missed: all that is cached is dropped");
            }
        }
        self.was_connected |= !store
            .replicas
            .as_ref()
            .is_some_and(|others| others.is_away());
        if std::mem::take(&mut self.everything) {
            self.principals = Principals::default();
            self.servers.clear();
            store.forget_all().await;
            return;
        }
        let due = |server: &ServerId| self.turn(server).is_none_or(|at| at <= now);
        let servers: HashSet<_> = self.servers.iter().filter(|id| due(id)).cloned().collect();
        let principals = std::mem::take(&mut self.principals);
        if servers.is_empty() && principals.0.is_empty() {
            return;
        }
        if self.last.len() + servers.len() > MOST_SERVERS {
            self.last.clear();
        }
        for server in &servers {
            self.servers.remove(server);
            self.last.insert(server.clone(), now);
            store.forget_public(server, store.clock.wall()).await;
        }
        let groups: Vec<_> = if servers.is_empty() {
            principals.0.keys().copied().map(Some).collect()
        } else {
            vec![None]
        };
        let fits = |key: &CacheKey| {
            servers.contains(&key.server) || principals.fits(&key.principal, &key.server)
        };
        store.forget_where(&groups, fits).await;
        // Who said it did that too; a list of before may have been put there since.
        for server in &servers {
            store.forget_found_if_near(server).await;
        }
    }
}
