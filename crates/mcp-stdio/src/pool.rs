//! The children of one server: one for each principal, started once, replaced when it must be.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mcp_auth::time::Instant;
use mcp_auth::{ExposeSecret, Principal, SecretRef, ServerId};
use mcp_core::Error;
use mcp_core::duplex::Settings;
use tokio::sync::Mutex as AsyncMutex;

use crate::connection::{Connection, Lease};
use crate::environment::{Environment, Resolved};
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
    pub(crate) max_children: usize,
    /// How long the values behind secret references are taken to be what they were.
    pub(crate) recheck: Duration,
    pub(crate) care: Care,
}

pub(crate) struct Pool {
    pub(crate) plan: Plan,
    slots: Mutex<HashMap<Principal, Arc<Slot>>>,
    clock: AtomicU64,
}

/// The place of one principal's child.
struct Slot {
    current: Mutex<Option<Arc<Connection>>>,
    /// Held while a child is being replaced, so that one is started however many wait.
    starting: AsyncMutex<Crashes>,
    /// What its tools were when they were last listed.
    listed: Arc<Listed>,
    used: AtomicU64,
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
    pub(crate) async fn acquire(&self, principal: &Principal) -> Result<Lease, Error> {
        let slot = self.slot(principal)?;
        if let Some(lease) = slot.lease()
            && self.is_current(&lease.0, principal).await?
        {
            return Ok(lease);
        }
        // Boxed: it is large, and rare beside the calls that find their child.
        Box::pin(self.replace(&slot, principal)).await
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
        let connection = self.start(slot, principal, &environment).await?;
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
            child.stdin().take(),
            child.id(),
        ));
        tracing::debug!(server = %self.plan.id, pid = child.id(), "started");
        let care = self.plan.care.clone();
        tokio::spawn(supervise(Arc::clone(&connection), child, care));
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

    fn slot(&self, principal: &Principal) -> Result<Arc<Slot>, Error> {
        let now = self.clock.fetch_add(1, Ordering::Relaxed);
        let mut slots = self.slots();
        if let Some(slot) = slots.get(principal) {
            slot.used.store(now, Ordering::Relaxed);
            return Ok(Arc::clone(slot));
        }
        if slots.len() >= self.plan.max_children {
            make_room(&mut slots, self.plan.max_children)?;
        }
        let slot = Arc::new(Slot {
            current: Mutex::default(),
            starting: AsyncMutex::default(),
            listed: Arc::default(),
            used: AtomicU64::new(now),
        });
        slots.insert(principal.clone(), Arc::clone(&slot));
        Ok(slot)
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<Principal, Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the place of the child that was used longest ago, if it is not in use.
fn make_room(slots: &mut HashMap<Principal, Arc<Slot>>, max: usize) -> Result<(), Error> {
    let free = slots.iter().filter(|(_, slot)| {
        // Whoever holds the slot is about to use it; it is handed out under this lock only.
        let held = Arc::strong_count(slot) > 1;
        !held
            && !slot
                .current()
                .as_ref()
                .is_some_and(|current| current.is_used())
    });
    let oldest = free.min_by_key(|(_, slot)| slot.used.load(Ordering::Relaxed));
    let Some(principal) = oldest.map(|(principal, _)| principal.clone()) else {
        return Err(Error::limit(
            "max_children",
            max,
            "children of one server in use",
        ));
    };
    slots.remove(&principal);
    Ok(())
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
