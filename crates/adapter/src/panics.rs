//! A panic in somebody's code is an error of the one call it happened in.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

use mcp_core::{BoxFuture, CallContext, Error};

/// Makes and runs a future; a panic of either becomes an error. Its text is left to the panic hook:
/// it may hold what the code was holding.
///
/// State that the code shares with others may be half changed; whoever shares state across calls
/// keeps it whole (a poisoned lock says so). What belongs to the call ends with it.
///
/// `who` is asked for a name when there is a panic to name: looking one up takes a while.
pub(crate) async fn contained<'a, T>(
    context: &CallContext,
    who: impl Fn() -> &'a str,
    make: impl FnOnce() -> BoxFuture<'a, Result<T, Error>>,
) -> Result<T, Error> {
    let sent_before = context.report().attempts;
    let panicked = || {
        let error = Error::config(format!("{} panicked", who()));
        if context.report().attempts > sent_before {
            Error::outcome_unknown(error)
        } else {
            error
        }
    };
    let Ok(mut future) = catch_unwind(AssertUnwindSafe(make)) else {
        return Err(panicked());
    };
    poll_fn(|task| {
        catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(task)))
            .unwrap_or_else(|_| Poll::Ready(Err(panicked())))
    })
    .await
}
