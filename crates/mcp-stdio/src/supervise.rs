//! The one task of a child: reads, writes, waits, and says goodbye.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use mcp_core::{BoxFuture, CallContext, Error};
use process_wrap::tokio::ChildWrapper;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::connection::{Connection, StderrHandler};
use crate::guard::Guard;
use crate::lines::{self, read_lines};
use crate::places::Place;
use crate::tools;

/// How long a child that has ended, or closed a pipe, may take to have its last words read: a
/// descendant may hold its pipes open for ever.
const SETTLE: Duration = Duration::from_millis(50);

/// How a child is looked after.
#[derive(Clone)]
pub(crate) struct Care {
    /// Unused for so long, it is stopped.
    pub(crate) idle: Option<Duration>,
    /// How long it may take to leave once its input is closed.
    pub(crate) close: Duration,
    /// And then, once it was asked to terminate.
    pub(crate) terminate: Duration,
    pub(crate) on_stderr: Option<Arc<StderrHandler>>,
    /// Counts changes of tools, over all children.
    pub(crate) changes: watch::Sender<u64>,
}

/// Why a child is no longer served.
enum End {
    Exited,
    Output(lines::End),
    Input,
    Unstartable(Error),
    Stopped,
}

/// What a child writes, read as long as it may write.
struct Streams<'a> {
    output: Option<BoxFuture<'a, lines::End>>,
    errors: Option<BoxFuture<'a, ()>>,
}

/// Serves a child until it ends, or until it is stopped and gone.
pub(crate) async fn supervise(
    connection: Arc<Connection>,
    mut child: Box<dyn ChildWrapper>,
    place: Place,
    care: Care,
) {
    let mut streams = Streams::of(&mut *child, &connection, &care);
    let mut guard = Guard::new(child, Arc::clone(&connection), place);
    let end = serve(&connection, &mut guard, &mut streams, &care).await;

    let mut status = None;
    if !matches!(end, End::Unstartable(_) | End::Stopped) {
        // Whatever is still in the pipes belongs to the calls and to the error. What does not
        // settle is a descendant with the pipes in its hands.
        let waited = async { status = Some(in_words(guard.wait().await)) };
        let settled = async { tokio::join!(waited, streams.rest()) };
        let _ = timeout(SETTLE, settled).await;
    }
    let exited = status.is_some();
    let (error, crashed) = match (end, status) {
        (End::Stopped, _) => (connection.exited("stopped"), false),
        (End::Unstartable(error), _) => (connection.explain(error), true),
        (End::Output(lines::End::TooLong), _) => {
            let limit = connection.duplex.limits().message_bytes;
            let error = Error::limit("message_bytes", limit, "bytes in one message");
            (error, true)
        }
        (_, Some(status)) => (connection.exited(status), true),
        (End::Output(_), None) => (connection.exited("its standard output is closed"), true),
        (End::Input, None) => (connection.exited("its standard input is closed"), true),
        (End::Exited, None) => (connection.exited("its exit status is unknown"), true),
    };
    if crashed {
        tracing::warn!(error = %error.kind(), "a stdio server ended");
    }
    connection.ended(&error, crashed);

    connection.outbox.close();
    // Where it has exited, what is left of its group goes with the guard.
    if !exited {
        tokio::select! {
            () = guard.goodbye(care.close, care.terminate) => {}
            // It may have to write before it can leave.
            never = async { streams.rest().await; std::future::pending::<Infallible>().await } => {
                match never {}
            }
        }
    }
    // The guard says that the child is gone: its pipes are, too, by then.
    drop(streams);
    drop(guard);
}

/// Reads, writes and waits until there is a reason to end.
async fn serve(
    connection: &Connection,
    guard: &mut Guard,
    streams: &mut Streams<'_>,
    care: &Care,
) -> End {
    let mut exit = pin!(guard.wait());
    let mut flush = pin!(connection.outbox.flush());
    let mut start = pin!(start(connection));
    let mut unused = pin!(connection.until_unused(care.idle));
    let mut changes = connection.duplex.tool_changes();
    let limit = connection.duplex.limits().call_timeout;
    let mut answers = pin!(
        connection
            .duplex
            .answer_requests(&connection.principal, limit)
    );
    let mut watch = pin!(tools::watch(connection, &care.changes));
    let mut starting = true;
    loop {
        tokio::select! {
            biased;
            end = finish(&mut streams.output) => return End::Output(end),
            () = finish(&mut streams.errors) => {}
            _ = &mut exit => return End::Exited,
            _ = &mut flush => return End::Input,
            started = &mut start, if starting => {
                starting = false;
                match started {
                    Ok(()) => connection.started(),
                    Err(error) => return End::Unstartable(error),
                }
            }
            Ok(()) = changes.changed() => care.changes.send_modify(|count| *count += 1),
            never = &mut answers => match never {},
            never = &mut watch, if !starting => match never {},
            () = &mut unused => return End::Stopped,
            () = connection.stop.cancelled() => return End::Stopped,
        }
    }
}

impl<'a> Streams<'a> {
    fn of(child: &mut dyn ChildWrapper, connection: &'a Connection, care: &'a Care) -> Self {
        let limit = connection.duplex.limits().message_bytes;
        let output = child.stdout().take().map(|stdout| -> BoxFuture<'_, _> {
            let take = |line: &[u8]| connection.take_line(line);
            Box::pin(read_lines(stdout, limit, take))
        });
        let errors = child.stderr().take().map(|stderr| -> BoxFuture<'_, _> {
            Box::pin(connection.drain(stderr, care.on_stderr.as_deref()))
        });
        Self { output, errors }
    }

    /// Reads on until both are at their end.
    async fn rest(&mut self) {
        let output = async {
            if self.output.is_some() {
                finish(&mut self.output).await;
            }
        };
        let errors = async {
            if self.errors.is_some() {
                finish(&mut self.errors).await;
            }
        };
        tokio::join!(output, errors);
    }
}

/// Awaits what is there, once; never ends where nothing is.
async fn finish<T>(stream: &mut Option<BoxFuture<'_, T>>) -> T {
    let Some(reading) = stream else {
        return std::future::pending().await;
    };
    let end = reading.await;
    *stream = None;
    end
}

async fn start(connection: &Connection) -> Result<(), Error> {
    let context = CallContext::new(connection.principal.clone());
    connection.duplex.negotiate(&context).await.map(drop)
}

fn in_words(status: std::io::Result<std::process::ExitStatus>) -> String {
    match status {
        Ok(status) => status.to_string(),
        Err(error) => format!("its exit status is unknown: {error}"),
    }
}
