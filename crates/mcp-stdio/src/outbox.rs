//! The way to the child: whole lines, in order, within a bound.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use mcp_auth::MaybeReady;
use mcp_core::duplex::{Channel, Outgoing};
use mcp_core::{Error, Transport};
use tokio::io::AsyncWrite;
use tokio::process::ChildStdin;
use tokio::sync::{Notify, Semaphore};

use crate::secrets::Secrets;

/// One permit of the queue stands for so many bytes.
const UNIT: usize = 1024;

/// Lines on their way to the child's standard input.
///
/// A line is written at once where the pipe takes it, so that the usual call wakes no other task.
/// What the pipe does not take waits in a queue that is bounded in bytes; who finds it full waits
/// for room under the deadline of its own call.
pub(crate) struct Outbox {
    state: Mutex<State>,
    room: Semaphore,
    units: usize,
    wake: Notify,
    secrets: Secrets,
}

struct State {
    stdin: Option<ChildStdin>,
    queue: VecDeque<Line>,
    /// How much of the first line is written.
    written: usize,
}

struct Line {
    bytes: Vec<u8>,
    units: usize,
}

impl Outbox {
    pub(crate) fn new(stdin: Option<ChildStdin>, bytes: usize, secrets: Secrets) -> Self {
        let units = (bytes / UNIT).clamp(1, u32::MAX as usize >> 4);
        Self {
            state: Mutex::new(State {
                stdin,
                queue: VecDeque::new(),
                written: 0,
            }),
            room: Semaphore::new(units),
            units,
            wake: Notify::new(),
            secrets,
        }
    }

    /// Closes the child's standard input: the first word of goodbye.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.stdin = None;
        state.queue.clear();
        self.room.close();
    }

    /// Writes what is queued, for ever; ends with the error that the pipe gave.
    pub(crate) async fn flush(&self) -> io::Error {
        loop {
            if let Err(error) = std::future::poll_fn(|cx| self.poll_flush(cx)).await {
                return error;
            }
            self.wake.notified().await;
        }
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state();
        let mut freed = 0;
        let flushed = state.poll_write(cx, &mut freed);
        drop(state);
        self.room.add_permits(freed);
        flushed
    }

    fn push(&self, bytes: Vec<u8>, units: usize, at_once: bool) {
        let mut state = self.state();
        let first = state.queue.is_empty();
        state.queue.push_back(Line { bytes, units });
        if first && at_once {
            let mut freed = 0;
            // Should it fail, the flushing task finds out the same.
            let written = state.poll_write(&mut Context::from_waker(Waker::noop()), &mut freed);
            drop(state);
            self.room.add_permits(freed);
            if matches!(written, Poll::Ready(Ok(()))) {
                return;
            }
        }
        self.wake.notify_one();
    }

    fn units(&self, bytes: &[u8]) -> usize {
        (bytes.len() / UNIT + 1).min(self.units)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, mut message: Vec<u8>) -> MaybeReady<'_, Result<(), Error>> {
        message.push(b'\n');
        let units = self.units(&message);
        let permits = u32::try_from(units).unwrap_or(u32::MAX);
        match self.room.try_acquire_many(permits) {
            Ok(permit) => {
                permit.forget();
                self.push(message, units, true);
                MaybeReady::ready(Ok(()))
            }
            Err(_) => MaybeReady::new(async move {
                let permit = self
                    .room
                    .acquire_many(permits)
                    .await
                    .map_err(|_| Error::protocol("the server's standard input is closed"))?;
                permit.forget();
                self.push(message, units, true);
                Ok(())
            }),
        }
    }

    fn post(&self, mut message: Vec<u8>) {
        message.push(b'\n');
        let units = self.units(&message);
        let permits = u32::try_from(units).unwrap_or(u32::MAX);
        let Ok(permit) = self.room.try_acquire_many(permits) else {
            return tracing::debug!("a message was dropped: the server does not read");
        };
        permit.forget();
        // May be called where there is no runtime: the flushing task writes it.
        self.push(message, units, false);
    }
}

impl State {
    /// Writes until the queue is empty or the pipe is full; adds up the permits that are free again.
    fn poll_write(&mut self, cx: &mut Context<'_>, freed: &mut usize) -> Poll<io::Result<()>> {
        while let Some(line) = self.queue.front() {
            let Some(stdin) = &mut self.stdin else {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            };
            let rest = line.bytes.get(self.written..).unwrap_or_default();
            if rest.is_empty() {
                *freed += line.units;
                self.written = 0;
                self.queue.pop_front();
                continue;
            }
            self.written += match ready!(Pin::new(stdin).poll_write(cx, rest)) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(written) => written,
                Err(error) => return Poll::Ready(Err(error)),
            };
        }
        Poll::Ready(Ok(()))
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox")
            .field("queued", &self.state().queue.len())
            .finish_non_exhaustive()
    }
}

/// The outbox as the connection's channel.
#[derive(Debug)]
pub(crate) struct StdioChannel(pub(crate) Arc<Outbox>);

impl Channel for StdioChannel {
    fn transport(&self) -> Transport {
        Transport::Stdio
    }

    fn send<'a>(&'a self, message: Vec<u8>, _: Outgoing<'a>) -> MaybeReady<'a, Result<(), Error>> {
        self.0.send(message)
    }

    fn post(&self, message: Vec<u8>) {
        self.0.post(message);
    }

    fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.0.secrets.redact(text)
    }
}
