//! Between calls, which never wait, and a sink, which may block.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use mcp_core::Error;
use tokio::sync::oneshot;

use super::{AuditRecord, AuditSink, SinkPolicy};

/// Records that wait for the sink.
const CAPACITY: usize = 1_024;

/// The way to a sink's thread. The thread ends when this is dropped and what waited is written.
///
/// Holds `CAPACITY` records, and under [`SinkPolicy::Deny`] those of the calls besides that were under
/// way when it filled up: they were made because they could be recorded.
#[derive(Debug)]
pub(super) struct Queue {
    sender: Sender<Message>,
    policy: SinkPolicy,
    health: Arc<Health>,
}

#[derive(Debug, Default)]
struct Health {
    /// The sink failed last time, or the queue was full.
    failing: AtomicBool,
    lost: AtomicU64,
    /// Records in the queue.
    waiting: AtomicUsize,
}

#[derive(Debug)]
enum Message {
    Record(Box<AuditRecord>),
    Flush(oneshot::Sender<()>),
}

impl Queue {
    pub(super) fn start(sink: Box<dyn AuditSink>, policy: SinkPolicy) -> Result<Self, Error> {
        let (sender, receiver) = channel();
        let health = Arc::new(Health::default());
        let theirs = Arc::clone(&health);
        thread::Builder::new()
            .name("mcp-audit".to_owned())
            .spawn(move || drain(sink, &receiver, &theirs))
            .map_err(|error| Error::config_because("the audit thread cannot be started", error))?;
        Ok(Self {
            sender,
            policy,
            health,
        })
    }

    /// Whether a call may be made.
    pub(super) fn admit(&self) -> Result<(), &'static str> {
        if self.policy == SinkPolicy::Deny {
            if self.health.failing.load(Ordering::Acquire) {
                return Err("the audit sink does not take records");
            }
            if self.health.waiting.load(Ordering::Acquire) >= CAPACITY {
                return Err("the audit sink is too slow");
            }
        }
        Ok(())
    }

    /// Takes the record of a call, which was `admitted` or denied here.
    pub(super) fn push(&self, record: AuditRecord, admitted: bool) {
        let waiting = &self.health.waiting;
        let waits = waiting.fetch_add(1, Ordering::AcqRel);
        let has_room = waits < CAPACITY || (admitted && self.policy == SinkPolicy::Deny);
        if has_room && self.sender.send(Message::Record(Box::new(record))).is_ok() {
            return;
        }
        waiting.fetch_sub(1, Ordering::AcqRel);
        self.health.note_lost();
    }

    pub(super) fn lost(&self) -> u64 {
        self.health.lost.load(Ordering::Relaxed)
    }

    pub(super) async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.sender.send(Message::Flush(done)).is_ok() {
            let _ = written.await;
        }
    }
}

impl Health {
    fn note_lost(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
        if !self.failing.swap(true, Ordering::AcqRel) {
            tracing::error!("audit records are being lost");
        }
    }

    fn note_kept(&self) {
        if self.failing.swap(false, Ordering::AcqRel) {
            tracing::info!("audit records are kept again");
        }
    }
}

fn drain(mut sink: Box<dyn AuditSink>, receiver: &Receiver<Message>, health: &Health) {
    let mut next = receiver.recv().ok();
    while let Some(message) = next {
        match message {
            Message::Record(record) => {
                health.waiting.fetch_sub(1, Ordering::AcqRel);
                // A sink that panics has failed; the next record is tried all the same.
                let kept = catch_unwind(AssertUnwindSafe(|| sink.write(&record)));
                if matches!(kept, Ok(Ok(()))) {
                    health.note_kept();
                } else {
                    health.note_lost();
                }
            }
            Message::Flush(done) => {
                flush(&mut *sink, health);
                let _ = done.send(());
            }
        }
        next = receiver.try_recv().ok().or_else(|| {
            flush(&mut *sink, health);
            receiver.recv().ok()
        });
    }
}

fn flush(sink: &mut dyn AuditSink, health: &Health) {
    let flushed = catch_unwind(AssertUnwindSafe(|| sink.flush()));
    if !matches!(flushed, Ok(Ok(()))) {
        health.note_lost();
    }
}
