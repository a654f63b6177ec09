//! Panics of other people's code become errors; the payload, which may hold a token, is dropped.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;

use crate::CredentialError;

const MESSAGE: &str = "the source of the credential panicked";

pub(crate) fn error() -> CredentialError {
    CredentialError::unavailable(MESSAGE)
}

/// Runs a closure.
pub(crate) fn caught<T>(
    run: impl FnOnce() -> Result<T, CredentialError>,
) -> Result<T, CredentialError> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err(error()))
}

/// Runs a closure that has nobody to tell of a failure.
pub(crate) fn silenced<T>(run: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(run)).ok()
}

/// Awaits a future. One that panicked is not polled again.
pub(crate) async fn awaited<T>(
    future: impl Future<Output = Result<T, CredentialError>>,
) -> Result<T, CredentialError> {
    let mut future = pin!(future);
    poll_fn(
        |context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(poll) => poll,
            Err(_) => std::task::Poll::Ready(Err(error())),
        },
    )
    .await
}
