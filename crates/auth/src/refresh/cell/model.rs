//! Every interleaving of a few callers, by loom. Run with
//! `RUSTFLAGS="--cfg loom" cargo test -p mcp-auth --lib --release model`.

use std::time::Duration;

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use super::{Cell, Join, Look, Outcome, Want};
use crate::Credentials;
use crate::refresh::windows::Life;
use crate::time::Instant;

/// What callers of the model wait on.
#[derive(Clone)]
struct Waiter(Arc<(Mutex<Option<Option<Outcome>>>, Condvar)>);

impl Waiter {
    fn new() -> Self {
        Self(Arc::new((Mutex::new(None), Condvar::new())))
    }

    /// `None` says that nothing will come.
    fn tell(&self, outcome: Option<Outcome>) {
        *self.0.0.lock().unwrap() = Some(outcome);
        self.0.1.notify_all();
    }

    fn hear(&self) -> Option<Outcome> {
        let mut told = self.0.0.lock().unwrap();
        while told.is_none() {
            told = self.0.1.wait(told).unwrap();
        }
        told.clone().flatten()
    }
}

struct World {
    cell: Cell<Waiter>,
    fetched: AtomicUsize,
    running: AtomicUsize,
    now: Instant,
    tokens: [Credentials; 3],
}

impl World {
    fn new() -> Arc<Self> {
        let token = |number| Credentials::bearer(format!("test-token-{number}")).unwrap();
        Arc::new(Self {
            cell: Cell::new(),
            fetched: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
            now: Instant::now(),
            tokens: [token(0), token(1), token(2)],
        })
    }

    /// Holds the first token already.
    fn holding() -> Arc<Self> {
        let world = Self::new();
        world.cell.replace(world.tokens[0].clone(), life(&world));
        world.fetched.store(1, Ordering::SeqCst);
        world
    }

    /// As the engine does it, without tasks: who has to fetch fetches.
    fn get(&self, want: Want<'_>) -> Credentials {
        for _ in 0..3 {
            match self.cell.join(want, self.now, |_| Waiter::new()) {
                Join::Held(credentials) => return credentials,
                Join::Wait(waiter) => {
                    if let Some(Outcome::Fresh(credentials)) = waiter.hear() {
                        return credentials;
                    }
                }
                Join::Start(waiter, order) => {
                    assert_eq!(self.running.fetch_add(1, Ordering::SeqCst), 0);
                    let number = self.fetched.fetch_add(1, Ordering::SeqCst);
                    let brought = Ok((self.tokens[number].clone(), life(self)));
                    self.running.fetch_sub(1, Ordering::SeqCst);
                    let (outcome, _) = self.cell.finish(order.id, brought, self.now, 0.5);
                    waiter.tell(Some(outcome.clone()));
                    if let Outcome::Fresh(credentials) = outcome {
                        return credentials;
                    }
                }
                Join::Failed(error) => panic!("{error}"),
                Join::Vain => panic!("vain"),
            }
        }
        panic!("no end");
    }
}

fn life(world: &World) -> Life {
    Life {
        refresh_at: Some(world.now + Duration::from_secs(50)),
        usable_until: Some(world.now + Duration::from_secs(60)),
        expires_at: Some(world.now + Duration::from_secs(60)),
    }
}

/// Up to three preemptions, within which nearly all faults show; without the bound it takes minutes.
fn explore(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

#[test]
fn callers_of_an_empty_cell_fetch_once() {
    explore(|| {
        let world = World::new();
        let callers: Vec<_> = (0..2)
            .map(|_| {
                let world = Arc::clone(&world);
                thread::spawn(move || world.get(Want::Usable))
            })
            .collect();
        let ours = world.get(Want::Usable);
        for caller in callers {
            assert_eq!(caller.join().unwrap(), ours);
        }
        assert_eq!(world.fetched.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn rejections_of_one_token_fetch_once() {
    explore(|| {
        let world = World::holding();
        let refused = world.tokens[0].fingerprint();
        let callers: Vec<_> = (0..2)
            .map(|_| {
                let world = Arc::clone(&world);
                thread::spawn(move || world.get(Want::InsteadOf(refused)))
            })
            .collect();
        // A caller in between gets the old or the new one, never nothing.
        let between = world.get(Want::Usable);
        assert!(world.tokens[..2].contains(&between));
        for caller in callers {
            assert_eq!(caller.join().unwrap(), world.tokens[1]);
        }
        assert_eq!(world.fetched.load(Ordering::SeqCst), 2);
        assert!(matches!(world.cell.look(world.now), Look::Fresh(held) if held == world.tokens[1]));
    });
}

#[test]
fn a_fetch_that_is_lost_strands_nobody() {
    explore(|| {
        let world = World::new();
        let lost = {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                if let Join::Start(waiter, order) =
                    world.cell.join(Want::Usable, world.now, |_| Waiter::new())
                {
                    world.cell.abandon(order.id);
                    waiter.tell(None);
                }
            })
        };
        assert_eq!(world.get(Want::Usable), world.tokens[0]);
        lost.join().unwrap();
        assert_eq!(world.fetched.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn a_fetch_begun_before_a_rejection_does_not_bring_the_refused_token_back() {
    explore(|| {
        let world = World::holding();
        let late = world.now + Duration::from_secs(55);
        let Join::Start(waiter, order) = world.cell.join(Want::Early, late, |_| Waiter::new())
        else {
            panic!("not started");
        };
        let bringing = {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                let same = Ok((world.tokens[0].clone(), life(&world)));
                let (outcome, _) = world.cell.finish(order.id, same, world.now, 0.5);
                waiter.tell(Some(outcome));
            })
        };
        let refused = world.tokens[0].fingerprint();
        assert_eq!(world.get(Want::InsteadOf(refused)), world.tokens[1]);
        bringing.join().unwrap();
        assert!(matches!(world.cell.look(world.now), Look::Fresh(held) if held == world.tokens[1]));
    });
}
