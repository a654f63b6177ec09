//! One connection that carries many requests at once and is made anew when it breaks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use mcp_core::auth::time::Instant;
use redis::{Cmd, ErrorKind, ServerErrorKind, Value};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::Repeat;
use super::dial::{Dialer, Link};
use crate::RedisError;

/// The pause after the first failed try to connect; it doubles…
const PAUSE: Duration = Duration::from_millis(50);
/// …up to this, which bounds how long Redis is back before it is noticed.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

pub(super) struct Line {
    dialer: Arc<Dialer>,
    live: ArcSwapOption<Live>,
    /// Held while connecting.
    trouble: Mutex<Option<Trouble>>,
}

struct Live {
    link: Link,
    /// Its last answer did not come, or was that it serves no longer.
    broken: AtomicBool,
}

/// Why there is no connection, and until when it is left at that.
struct Trouble {
    error: RedisError,
    failures: u32,
    until: Instant,
}

impl Line {
    pub(super) fn new(dialer: Arc<Dialer>) -> Self {
        Self {
            dialer,
            live: ArcSwapOption::empty(),
            trouble: Mutex::new(None),
        }
    }

    /// The answer to a command; `None` when it calls a script that the server does not know.
    pub(super) async fn run(
        &self,
        command: &Cmd,
        repeat: Repeat,
    ) -> Result<Option<Value>, RedisError> {
        let mut last = repeat == Repeat::Never;
        loop {
            let live = self.live().await?;
            match self.ask(&live, command).await {
                Ok(answer) => return Ok(Some(answer)),
                Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                    return Ok(None);
                }
                Err(error) => {
                    let broken = is_broken(&error);
                    if broken {
                        live.broken.store(true, Ordering::Relaxed);
                    }
                    // A connection that had died unnoticed costs one more try, no more.
                    if last || !broken || error.is_timeout() {
                        return Err(RedisError::told(&error));
                    }
                    last = true;
                }
            }
        }
    }

    async fn ask(&self, live: &Live, command: &Cmd) -> redis::RedisResult<Value> {
        let deadline = self.dialer.config.response_deadline;
        // The library has a deadline of its own for the answer; this one counts the wait for a turn.
        match timeout(deadline, live.link.ask(command)).await {
            Ok(answer) => answer,
            Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
        }
    }

    async fn live(&self) -> Result<Arc<Live>, RedisError> {
        if let Some(live) = self.usable() {
            return Ok(live);
        }
        let connecting = async {
            let mut trouble = self.trouble.lock().await;
            // Somebody else may have connected, or failed to, while this waited.
            if let Some(live) = self.usable() {
                return Ok(live);
            }
            let failures = match &*trouble {
                Some(known) if Instant::now() < known.until => return Err(known.error.clone()),
                Some(known) => known.failures,
                None => 0,
            };
            match self.dialer.dial().await {
                Ok(link) => {
                    tracing::info!(failures, "redis_connected");
                    let live = Arc::new(Live {
                        link,
                        broken: AtomicBool::new(false),
                    });
                    self.live.store(Some(Arc::clone(&live)));
                    *trouble = None;
                    Ok(live)
                }
                Err(error) => {
                    if failures == 0 {
                        tracing::warn!(kind = ?error.kind(), %error, "redis_unreachable");
                    } else {
                        tracing::debug!(failures, kind = ?error.kind(), "redis_unreachable");
                    }
                    let told = error.clone();
                    *trouble = Some(Trouble {
                        error,
                        failures: failures.saturating_add(1),
                        until: Instant::now() + pause(failures),
                    });
                    Err(told)
                }
            }
        };
        let patience = self.dialer.config.connect_deadline * 2;
        timeout(patience, connecting)
            .await
            .unwrap_or_else(|_| Err(RedisError::unreachable("Redis cannot be reached in time")))
    }

    fn usable(&self) -> Option<Arc<Live>> {
        let live = self.live.load_full()?;
        let good = !live.broken.load(Ordering::Relaxed) && live.link.is_open();
        good.then_some(live)
    }
}

/// Whether the connection is of no more use.
fn is_broken(error: &redis::RedisError) -> bool {
    if error.is_unrecoverable_error() || error.is_io_error() {
        return true;
    }
    // Demoted, or about to vanish: there is another primary, or soon will be.
    matches!(
        error.kind(),
        ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown)
    )
}

/// How long to leave it at so many failures. Replicas that lost the same Redis do not come back to it
/// in step.
pub(crate) fn pause(failures: u32) -> Duration {
    let doubled = PAUSE.saturating_mul(2_u32.saturating_pow(failures.min(16)));
    doubled
        .min(LONGEST_PAUSE)
        .mul_f64(fastrand::f64().mul_add(0.5, 0.5))
}
