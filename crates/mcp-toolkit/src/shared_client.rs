//! One HTTP client for every load that does not bring its own.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use mcp_core::Error;
use mcp_http::HttpClient;
use tokio::runtime::{Handle, Id};

/// A program has a runtime or two; one that makes more starts over.
const MAX_RUNTIMES: usize = 16;

/// The client of the present runtime. Connections belong to the runtime that opened them: shared
/// between runtimes, one could wait for another that nobody drives.
pub(crate) fn shared_client() -> Result<HttpClient, Error> {
    static CLIENTS: LazyLock<Mutex<HashMap<Id, HttpClient>>> = LazyLock::new(Mutex::default);
    let runtime = Handle::try_current()
        .map_err(|error| Error::config_because("tools are loaded within a tokio runtime", error))?;
    let mut clients = CLIENTS.lock().unwrap_or_else(PoisonError::into_inner);
    if clients.len() >= MAX_RUNTIMES && !clients.contains_key(&runtime.id()) {
        clients.clear();
    }
    Ok(clients.entry(runtime.id()).or_default().clone())
}
