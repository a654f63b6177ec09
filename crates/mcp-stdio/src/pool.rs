//! The children of one server: one for each principal, started once, replaced when it must be.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mcp_auth::time::Instant;
use mcp_auth::{ExposeSecret, Principal, SecretRef, ServerId};
use mcp_core::Error;
use mcp_core::duplex::Settings;
use tokio::sync::Mutex as AsyncMutex;

use crate::connection::{Connection, Lease};
use crate::environment::{Environment, Resolved};
use crate::places::{Place, Places};
use crate::program::Program;
use crate::restart::{Crashes, Restart};
use crate::supervise::{Care, supervise};
use crate::tools::Listed;

/// What every child of a server has in common.
pub(crate) struct Plan {
    pub(crate) id: ServerId,
    pub(crate) program: Program,
    pub(crate) arguments: Vec<SecretRef>,
    pub(crate) environment: Environment,
    pub(crate) settings: Settings,
    pub(crate) restart: Restart,
    pub(crate) places: Arc<Places>,
    /// How long the values behind secret references are taken to be what they were.
    pub(crate) recheck: Duration,
    pub(crate) care: Care,
}

pub(crate) struct Pool {
    pub(crate) plan: Plan,
    slots: Mutex<HashMap<Principal, Arc<Slot>>>,
    clock: AtomicU64,
}

/// What is kept of one principal, with or without a child.
#[derive(Default)]
struct Slot {
    current: Mutex<Option<Arc<Connection>>>,
    /// Held while a child is being replaced, so that one is started however many wait.
    starting: AsyncMutex<Crashes>,
    /// What its tools were when they were last listed.
    listed: Arc<Listed>,
    used: AtomicU64,
    /// How many have it in their hands.
    holders: AtomicUsize,
    /// Whether its child has to wait for a place.
    queued: AtomicBool,
}

/// A slot in somebody's hands: nobody takes the place of its child meanwhile.
pub(crate) struct Held<'a> {
    slot: Arc<Slot>,
    places: &'a Places,
}

impl Pool {
    pub(crate) fn new(plan: Plan) -> Self {
        Self {
            plan,
            slots: Mutex::default(),
            clock: AtomicU64::new(0),
        }
    }

    /// The principal's child, started if there is none. It may still be getting ready.
    pub(crate) async fn acquire(
        &self,
        held: &Held<'_>,
        principal: &Principal,
    ) -> Result<Lease, Error> {
        let slot = &*held.slot;
        if let Some(lease) = slot.lease()
            && self.is_current(&lease.0, principal).await?
        {
            return Ok(lease);
        }
        // Boxed: it is large, and rare beside the calls that find their child.
        Box::pin(self.replace(slot, principal)).await
    }

    async fn replace(&self, slot: &Slot, principal: &Principal) -> Result<Lease, Error> {
        let mut crashes = slot.starting.lock().await;
        if let Some(lease) = slot.lease()
            && self.is_current(&lease.0, principal).await?
        {
            return Ok(lease);
        }
        let environment = self
            .plan
            .environment
            .resolve(&self.plan.id, principal)
            .await?;
        if let Some(lease) = slot.lease()
            && lease.0.fingerprint == environment.fingerprint
        {
            lease.0.check_passed();
            return Ok(lease);
        }
        if let Some(previous) = slot.current().take() {
            match previous.crash() {
                Some(crash) => crashes.note(crash, &self.plan.restart),
                // The old credentials serve whoever still uses them, and nobody else.
                None => previous.retire(),
            }
        }
        if let Some(due) = crashes.next_start(&self.plan.restart, Instant::now())? {
            tracing::debug!(server = %self.plan.id, "waiting before the next start");
            tokio::time::sleep_until(due).await;
        }
        // Still said after the wait was given up: that was the reason then.
        slot.queued.store(true, Ordering::Relaxed);
        let place = self.plan.places.take(|| self.evict()).await?;
        slot.queued.store(false, Ordering::Relaxed);
        let connection = self.start(slot, principal, &environment, place).await?;
        let lease = connection.lease();
        *slot.current() = Some(Arc::clone(&connection));
        match lease {
            Some(lease) => Ok(lease),
            // It was quicker than this task: what it said is told all the same.
            None => Err(connection.end().await),
        }
    }

    /// Ends the principal's child and waits until it is gone.
    pub(crate) async fn close(&self, principal: &Principal) {
        let slot = self.slots().remove(principal);
        let current = slot.and_then(|slot| slot.current().take());
        if let Some(connection) = current {
            connection.stop.cancel();
            connection.finished.cancelled().await;
        }
    }

    /// Ends every child and waits until they are gone.
    pub(crate) async fn close_all(&self) {
        let slots = std::mem::take(&mut *self.slots());
        let connections: Vec<_> = slots
            .into_values()
            .filter_map(|slot| slot.current().take())
            .collect();
        for connection in &connections {
            connection.stop.cancel();
        }
        for connection in connections {
            connection.finished.cancelled().await;
        }
    }

    /// The principal's child, running or not, if there is one.
    pub(crate) fn connection(&self, principal: &Principal) -> Option<Arc<Connection>> {
        let slot = self.slots().get(principal).map(Arc::clone)?;
        slot.current().clone()
    }

    async fn start(
        &self,
        slot: &Slot,
        principal: &Principal,
        environment: &Resolved,
        place: Place,
    ) -> Result<Arc<Connection>, Error> {
        let mut arguments = Vec::with_capacity(self.plan.arguments.len());
        for argument in &self.plan.arguments {
            let resolved = argument.resolve_in(&self.plan.environment.scope).await;
            let resolved = resolved.map_err(|error| {
                Error::config_because(format!("an argument cannot be given: {error}"), error)
            })?;
            arguments.push(resolved.expose_secret().to_owned());
        }
        let mut child = self.plan.program.start(&arguments, environment).await?;
        let connection = Arc::new(Connection::new(
            principal.clone(),
            self.plan.settings.clone(),
            environment,
            Arc::clone(&slot.listed),
            place.departure(),
            child.stdin().take(),
            child.id(),
        ));
        tracing::debug!(server = %self.plan.id, pid = child.id(), "started");
        let care = self.plan.care.clone();
        tokio::spawn(supervise(Arc::clone(&connection), child, place, care));
        Ok(connection)
    }

    async fn is_current(
        &self,
        connection: &Connection,
        principal: &Principal,
    ) -> Result<bool, Error> {
        let environment = &self.plan.environment;
        if environment.is_fixed() {
            return Ok(true);
        }
        if connection.checked().elapsed() >= self.plan.recheck {
            return Ok(false);
        }
        environment
            .is_current(&connection.credentials, &self.plan.id, principal)
            .await
    }

    /// The principal's slot, made if there is none.
    pub(crate) fn hold(&self, principal: &Principal) -> Held<'_> {
        let places = &*self.plan.places;
        let now = self.clock.fetch_add(1, Ordering::Relaxed);
        let mut slots = self.slots();
        let slot = if let Some(slot) = slots.get(principal) {
            Arc::clone(slot)
        } else {
            forget_empty(&mut slots, places.max());
            Arc::clone(slots.entry(principal.clone()).or_default())
        };
        slot.used.store(now, Ordering::Relaxed);
        slot.holders.fetch_add(1, Ordering::SeqCst);
        Held { slot, places }
    }

    /// Sends the idle child away that was used longest ago; says whether there was one.
    fn evict(&self) -> bool {
        let mut slots = self.slots();
        let idle = oldest(&slots, |slot| {
            let current = slot.current();
            current.as_ref().is_some_and(|current| current.is_idle())
        });
        // It is told to leave when its slot is dropped.
        idle.and_then(|principal| slots.remove(&principal))
            .is_some()
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<Principal, Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets those who were here longest ago and have no child, so that there are not more slots than
/// children and callers.
fn forget_empty(slots: &mut HashMap<Principal, Arc<Slot>>, max: usize) {
    while slots.len() >= max {
        let empty = oldest(slots, |slot| {
            let current = slot.current();
            current.as_ref().is_none_or(|current| current.is_gone())
        });
        match empty {
            Some(principal) => drop(slots.remove(&principal)),
            None => return,
        }
    }
}

/// Who was here longest ago, among those of whom this holds and whose slot nobody has in his hands.
fn oldest(
    slots: &HashMap<Principal, Arc<Slot>>,
    fits: impl Fn(&Slot) -> bool,
) -> Option<Principal> {
    // Slots are handed out under the lock that the map is under.
    let free = |slot: &Slot| slot.holders.load(Ordering::SeqCst) == 0;
    let all = slots.iter();
    let fitting = all.filter(|(_, slot)| free(slot) && fits(slot));
    let oldest = fitting.min_by_key(|(_, slot)| slot.used.load(Ordering::Relaxed));
    oldest.map(|(principal, _)| principal.clone())
}

impl Held<'_> {
    /// The error of whoever waited for a place in vain, if that is what was waited for.
    pub(crate) fn no_place(&self) -> Option<Error> {
        let queued = self.slot.queued.load(Ordering::Relaxed);
        queued.then(|| self.places.none_left())
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if self.slot.holders.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.places.look_again();
        }
    }
}

impl Slot {
    fn lease(&self) -> Option<Lease> {
        self.current().as_ref().and_then(Connection::lease)
    }

    fn current(&self) -> MutexGuard<'_, Option<Arc<Connection>>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(connection) = self.current().take() {
            connection.retire();
        }
    }
}
