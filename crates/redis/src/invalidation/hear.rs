//! Hearing what is to be forgotten.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use mcp_core::auth::Revision;
use mcp_core::auth::time::Instant;
use tokio::time::{sleep_until, timeout};

use super::Shared;
use super::generation::{Generation, Heard, Known};
use super::message::Message;
use crate::RedisError;
use crate::connection::{Note, Repeat};

/// How soon it is looked again when Redis did not answer.
const SOON: Duration = Duration::from_millis(250);

/// An answer that takes longer is none.
const LATE: Duration = Duration::from_secs(2);

/// Where the count is; it begins if there is none, so that its loss is noticed.
pub(super) const LOOK: &str = r"
local found = redis.call('HMGET', KEYS[1], 'count', 'number')
if not found[1] then
  redis.call('HSET', KEYS[1], 'count', ARGV[1], 'number', 0)
  return { ARGV[1], 0 }
end
return { found[1], tonumber(found[2]) or 0 }
";

type Looking = Pin<Box<dyn Future<Output = Look> + Send>>;

/// What was known when it was looked, and what was found.
type Look = (Option<Generation>, Result<Generation, RedisError>);

struct Hearing {
    shared: Arc<Shared>,
    known: Known,
    /// Whether what is published comes here, as far as is known.
    subscribed: bool,
    /// It began to come here after what was found last.
    resubscribed: bool,
    answers: bool,
    looking: Option<Looking>,
    look_at: Instant,
}

pub(super) async fn hear(shared: Arc<Shared>) {
    let mut notes = shared.redis.subscribe(&shared.channel);
    let mut hearing = Hearing {
        shared,
        known: Known::default(),
        subscribed: false,
        resubscribed: false,
        answers: false,
        looking: None,
        look_at: Instant::now(),
    };
    loop {
        let look_at = hearing.looking.is_none().then_some(hearing.look_at);
        let next = hearing.known.until().into_iter().chain(look_at).min();
        let time = async {
            match next {
                Some(next) => sleep_until(next).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            note = notes.next() => match note {
                Note::Message(bytes) => hearing.message(&bytes),
                Note::Gap => {
                    hearing.subscribed = true;
                    hearing.resubscribed = true;
                    // Whatever was found before does not count.
                    hearing.look();
                }
            },
            (asked, found) = looked(&mut hearing.looking) => hearing.found(asked.as_ref(), found),
            () = time => hearing.time(Instant::now()),
        }
    }
}

async fn looked(looking: &mut Option<Looking>) -> Look {
    match looking {
        Some(look) => look.await,
        None => std::future::pending().await,
    }
}

impl Hearing {
    fn message(&mut self, bytes: &[u8]) {
        self.subscribed = true;
        let Some(message) = Message::read(bytes) else {
            tracing::warn!(bytes = bytes.len(), "invalidation_not_understood");
            self.shared.hub.tell_missed();
            return;
        };
        // What is said here has been handed on here.
        if message.body.from != self.shared.name {
            for invalidation in message.body.forget {
                self.shared.hub.tell(None, invalidation);
            }
        }
        if let Some(at) = message.at {
            let heard = self.known.hear(at);
            self.judge(heard);
        }
    }

    /// Looks where the count is, from now.
    fn look(&mut self) {
        let (shared, asked) = (Arc::clone(&self.shared), self.known.last().cloned());
        self.looking = Some(Box::pin(async move {
            let late = |_| Err(RedisError::unreachable("Redis did not answer in time"));
            let found = timeout(LATE, shared.look()).await;
            (asked, found.unwrap_or_else(late))
        }));
        self.look_at = after(self.shared.check);
    }

    fn found(&mut self, asked: Option<&Generation>, found: Result<Generation, RedisError>) {
        self.looking = None;
        match found {
            // Nothing can be said of what comes before it is listened.
            Ok(_) if !self.subscribed && self.known.last().is_none() => self.answers = true,
            Ok(found) => {
                self.answers = true;
                let heard = self.known.find(found, asked, Instant::now());
                self.resubscribed &= heard == Heard::PerhapsAll;
                self.judge(heard);
            }
            Err(error) => {
                tracing::debug!(kind = ?error.kind(), "invalidation_count_unknown");
                self.answers = false;
                self.look_at = after(SOON);
                self.shared.hub.set_connected(false);
            }
        }
    }

    fn time(&mut self, now: Instant) {
        if self.known.until().is_some_and(|until| until <= now) {
            let heard = self.known.wait(now);
            if heard == Heard::Missed && !self.resubscribed {
                // There was something, and it did not come, though all should have.
                self.subscribed = false;
            }
            self.resubscribed &= heard == Heard::PerhapsAll;
            self.judge(heard);
        }
        if self.look_at <= now && self.looking.is_none() {
            self.look();
        }
    }

    fn judge(&mut self, heard: Heard) {
        let hub = &self.shared.hub;
        match heard {
            Heard::PerhapsAll => return,
            Heard::Missed => hub.tell_missed(),
            Heard::All => {}
        }
        hub.set_connected(self.subscribed && self.answers);
    }
}

/// Who hears nothing is not connected.
impl Drop for Hearing {
    fn drop(&mut self) {
        self.shared.hub.set_connected(false);
    }
}

fn after(time: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(time).unwrap_or(now)
}

impl Shared {
    async fn look(&self) -> Result<Generation, RedisError> {
        let count = format!("{:016x}", Revision::unique().number());
        let (keys, arguments) = ([&*self.counter], [count.as_bytes()]);
        let found = self.redis.call(&self.look, &keys, &arguments, Repeat::Once);
        let (count, number): (String, u64) = found.await?;
        Ok(Generation { count, number })
    }
}
