//! npm `@modelcontextprotocol/server-filesystem`: stdio only, protocol 2025-11-25 and older.

use std::path::Path;

use super::install::npm_entry;
use crate::report::or_fail;

/// Program and arguments of a server that reads and writes below `folder`.
///
/// # Panics
/// When the server is not installed.
#[track_caller]
pub fn filesystem_stdio(folder: &Path) -> (String, Vec<String>) {
    let entry = or_fail(npm_entry("@modelcontextprotocol/server-filesystem"));
    (
        "node".to_owned(),
        vec![entry, folder.to_string_lossy().into_owned()],
    )
}
