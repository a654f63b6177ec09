//! What a test says and looks at when something went wrong.

use std::error::Error;
use std::fmt::Write as _;

/// Everything that an error shows, to anybody: its text and its causes', and how they are debugged.
pub fn shown(error: &dyn Error) -> String {
    let mut shown = format!("{error} | {error:?} | {error:#?}");
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(shown, " | {error} | {error:?}");
        cause = error.source();
    }
    shown
}

/// A result, or the end of the test: whoever asks for a real server cannot go on without.
#[track_caller]
pub(crate) fn or_fail<T>(result: anyhow::Result<T>) -> T {
    match result {
        Ok(value) => value,
        #[expect(
            clippy::panic,
            reason = "this is a test harness; the panic is the report"
        )]
        Err(error) => panic!("{error:#}"),
    }
}
