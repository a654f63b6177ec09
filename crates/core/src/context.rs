//! For whom a call is made, until when, and how to stop it.

mod trace;

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub use self::trace::{TraceContext, TraceSource};
use crate::Error;
use crate::auth::time::Instant;
use crate::auth::{Fingerprint, Principal};

/// What travels with a call from the agent to the transport.
///
/// ```
/// use std::time::Duration;
/// use mcp_core::{CallContext, Principal};
///
/// let context = CallContext::new(Principal::new("alice")?).with_timeout(Duration::from_secs(5));
/// # Ok::<(), mcp_core::auth::InvalidIdentity>(())
/// ```
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct CallContext {
    /// On whose behalf.
    pub principal: Principal,
    /// When the call has to be over, everything included. `None` leaves it to the server's limits.
    pub deadline: Option<Instant>,
    /// Stops the call from outside. Dropping the call's future does the same.
    pub cancellation: Option<CancellationToken>,
    /// The trace that the call belongs to, sent to the server in `_meta`.
    pub trace: Option<TraceContext>,
    /// Knows the trace of each request, if it is not simply the call's.
    pub trace_source: Option<Arc<dyn TraceSource>>,
    /// Hears of progress.
    pub progress: Option<Arc<dyn ProgressHandler>>,
    patience: Option<Patience>,
    report: Mutex<CallReport>,
}

/// How long nothing may be heard.
#[derive(Clone, Debug)]
struct Patience {
    limit: Duration,
    heard: Arc<Mutex<Option<Instant>>>,
}

impl Patience {
    fn heard(&self) -> Option<Instant> {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}

/// What happened on the way of a call; read it afterwards with [`CallContext::report`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct CallReport {
    /// How often the call itself was sent.
    pub attempts: u32,
    /// The credentials that went with the last attempt.
    pub credentials: Option<Fingerprint>,
}

impl CallContext {
    /// A context without a deadline of its own.
    pub fn new(principal: Principal) -> Self {
        Self {
            principal,
            ..Self::default()
        }
    }

    /// The call has to be over so long from now.
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.deadline = Instant::now().checked_add(timeout);
        self
    }

    /// The call has to be over then.
    pub fn with_deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// The call stops when the token is cancelled.
    pub fn with_cancellation(mut self, token: CancellationToken) -> Self {
        self.cancellation = Some(token);
        self
    }

    /// The call belongs to a trace.
    pub fn with_trace(mut self, trace: TraceContext) -> Self {
        self.trace = Some(trace);
        self
    }

    /// Each request of the call belongs to the trace that the source tells of when it is written, and
    /// to the call's own where it tells of none.
    pub fn with_trace_source(mut self, source: Arc<dyn TraceSource>) -> Self {
        self.trace_source = Some(source);
        self
    }

    /// The trace that a request which is written now belongs to. For transports, in its span.
    pub fn current_trace(&self) -> Option<Cow<'_, TraceContext>> {
        let told = self.trace_source.as_ref().and_then(|it| it.current());
        told.map(Cow::Owned)
            .or_else(|| self.trace.as_ref().map(Cow::Borrowed))
    }

    /// Progress is told to the handler.
    pub fn with_progress(mut self, handler: Arc<dyn ProgressHandler>) -> Self {
        self.progress = Some(handler);
        self
    }

    /// The call stops when nothing is heard for so long: neither its answer nor progress. Progress
    /// extends that each time, yet never past the deadline, or the server's limit where there is
    /// none. Default: progress extends nothing.
    pub fn with_progress_timeout(mut self, limit: Duration) -> Self {
        self.patience = Some(Patience {
            limit,
            heard: Arc::default(),
        });
        self
    }

    /// Whether it stops a call that begins now before so much time is over: by its deadline, or because
    /// it waits less for a word of progress. For whoever draws conclusions from a timeout.
    pub fn is_hastier_than(&self, limit: Duration) -> bool {
        let left = |deadline: Instant| deadline.saturating_duration_since(Instant::now());
        self.deadline.is_some_and(|deadline| left(deadline) < limit)
            || self.patience.as_ref().is_some_and(|it| it.limit < limit)
    }

    /// Whether the server is to be asked for progress. For transports.
    pub fn wants_progress(&self) -> bool {
        self.progress.is_some() || self.patience.is_some()
    }

    /// Notes that the server told of progress. For transports, before they tell the handler.
    pub fn record_progress(&self) {
        if let Some(patience) = &self.patience {
            patience.record();
        }
    }

    /// Who hears of progress where the context cannot be at hand; it does what
    /// [`record_progress`](Self::record_progress) does, too. For transports.
    pub fn progress_handler(&self) -> Option<Arc<dyn ProgressHandler>> {
        match &self.patience {
            None => self.progress.clone(),
            Some(patience) => Some(Arc::new(Recording {
                patience: patience.clone(),
                handler: self.progress.clone(),
            })),
        }
    }

    /// What has happened so far.
    pub fn report(&self) -> CallReport {
        *self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the call itself is being sent, with these credentials. For transports.
    pub fn record_attempt(&self, credentials: Fingerprint) {
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        report.attempts += 1;
        report.credentials = Some(credentials);
    }

    /// Takes the last note back: the call did not leave, nothing listened there. For transports.
    pub fn record_unsent(&self) {
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        report.attempts = report.attempts.saturating_sub(1);
        if report.attempts == 0 {
            report.credentials = None;
        }
    }

    /// Runs a future under the context's deadline (or `limit` from now, whichever is earlier), its
    /// patience between two notices of progress, and cancellation. For transports.
    ///
    /// # Errors
    /// [`Failure::Timeout`](crate::Failure) and [`Failure::Cancelled`](crate::Failure), besides the
    /// future's own.
    pub async fn bound<T>(
        &self,
        limit: Duration,
        during: &'static str,
        future: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let started = Instant::now();
        let latest = started.checked_add(limit);
        let deadline = match (self.deadline, latest) {
            (Some(own), Some(latest)) => Some(own.min(latest)),
            (one, other) => one.or(other),
        };
        let timed = async {
            if let Some(patience) = &self.patience {
                return patience.bound(started, deadline, during, future).await;
            }
            let Some(deadline) = deadline else {
                return future.await;
            };
            match tokio::time::timeout_at(deadline, future).await {
                Ok(outcome) => outcome,
                Err(_) => Err(Error::timeout(deadline - started, during)),
            }
        };
        match &self.cancellation {
            None => timed.await,
            Some(token) => tokio::select! {
                biased;
                () = token.cancelled() => Err(Error::cancelled()),
                outcome = timed => outcome,
            },
        }
    }
}

impl Patience {
    async fn bound<T>(
        &self,
        started: Instant,
        deadline: Option<Instant>,
        during: &'static str,
        future: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let mut future = std::pin::pin!(future);
        loop {
            let since = self.heard().map_or(started, |heard| heard.max(started));
            let patient = since.checked_add(self.limit);
            let until = match (patient, deadline) {
                (Some(patient), Some(deadline)) => patient.min(deadline),
                (Some(one), None) | (None, Some(one)) => one,
                (None, None) => return future.await,
            };
            if let Ok(outcome) = tokio::time::timeout_at(until, future.as_mut()).await {
                return outcome;
            }
            if deadline == Some(until) {
                return Err(Error::timeout(until - started, during));
            }
            if self.heard().is_none_or(|heard| heard <= since) {
                return Err(Error::timeout(self.limit, "waiting for progress"));
            }
        }
    }
}

/// Notes progress, and hands it on.
#[derive(Debug)]
struct Recording {
    patience: Patience,
    handler: Option<Arc<dyn ProgressHandler>>,
}

impl ProgressHandler for Recording {
    fn progress(&self, update: ProgressUpdate<'_>) {
        self.patience.record();
        if let Some(handler) = &self.handler {
            handler.progress(update);
        }
    }
}

/// Hears how far a call has come. Called from the task that reads the answer: do not block.
pub trait ProgressHandler: fmt::Debug + Send + Sync {
    /// One notification of progress.
    fn progress(&self, update: ProgressUpdate<'_>);
}

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct ProgressUpdate<'a> {
    /// Grows with each update.
    pub progress: f64,
    /// What `progress` will be at the end, if known.
    pub total: Option<f64>,
    /// What is being done.
    pub message: Option<&'a str>,
}

impl<'a> ProgressUpdate<'a> {
    /// An update.
    pub fn new(progress: f64, total: Option<f64>, message: Option<&'a str>) -> Self {
        Self {
            progress,
            total,
            message,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[tokio::test(start_paused = true)]
    async fn the_earlier_of_deadline_and_limit_wins() {
        let context = CallContext::default().with_timeout(Duration::from_secs(1));
        let began = Instant::now();
        let never = std::future::pending::<Result<(), Error>>();
        let error = context
            .bound(Duration::from_secs(60), "a test", never)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert_eq!(began.elapsed(), Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn progress_extends_the_deadline_only_when_asked_and_never_past_the_total() {
        let second = Duration::from_secs(1);
        // Tells of progress each second and is done after ten.
        let work = async |context: &CallContext| {
            let handler = context.progress_handler();
            for _ in 0..9 {
                tokio::time::sleep(second).await;
                if let Some(handler) = &handler {
                    handler.progress(ProgressUpdate::new(1.0, None, None));
                }
            }
            tokio::time::sleep(second).await;
            Ok(())
        };
        let run = async |context: CallContext, limit| {
            let began = Instant::now();
            let outcome = context.bound(limit, "a test", work(&context)).await;
            (
                outcome.map_err(|error| error.to_string()),
                began.elapsed().as_secs(),
            )
        };
        let patient = || CallContext::default().with_progress_timeout(second * 2);
        assert_eq!(run(patient(), Duration::MAX).await, (Ok(()), 10));
        let (late, after) = run(patient(), second * 5).await;
        assert!(late.unwrap_err().contains("a test") && after == 5);
        let (late, after) = run(patient().with_timeout(second * 6), second * 60).await;
        assert!(late.unwrap_err().contains("a test") && after == 6);
        let context = CallContext::default().with_progress_timeout(second / 2);
        let (silent, after) = run(context, second * 60).await;
        assert!(silent.unwrap_err().contains("progress") && after == 0);
    }

    #[tokio::test]
    async fn cancellation_is_typed() {
        let token = CancellationToken::new();
        let context = CallContext::default().with_cancellation(token.clone());
        token.cancel();
        for limit in [Duration::from_secs(60), Duration::MAX] {
            let never = std::future::pending::<Result<(), Error>>();
            let error = context.bound(limit, "a test", never).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Cancelled);
        }
    }
}
