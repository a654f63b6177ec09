//! Every bound, in one place.

use std::time::Duration;

/// The bounds that a connection keeps. Reaching one is an error that names the field.
///
/// ```
/// let mut limits = mcp_core::Limits::default();
/// limits.body_bytes = 64 * 1024 * 1024;
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// The longest answer, in bytes, before and after any decoding. Default 16 MiB.
    pub body_bytes: usize,
    /// The longest single event of a stream or line of a child, in bytes. Default 16 MiB.
    pub message_bytes: usize,
    /// How much of a refusing server's answer is kept for the error, in bytes. Default 512.
    pub snippet_bytes: usize,
    /// Pages of one `tools/list`. Default 1,000.
    pub pages: usize,
    /// Tools of one server, and resources or prompts. Default 10,000.
    pub tools: usize,
    /// Redirects followed for one request. Default 5.
    pub redirects: usize,
    /// Requests in flight on one stream connection (stdio, HTTP+SSE). Default 1,024.
    pub pending_requests: usize,
    /// Requests of one principal that one HTTP server is working on at the same time; one more waits
    /// for its turn, within its own deadline. While the server waits for an answer of this side (to a
    /// question in the middle of a call), one more may go out for each, up to as many again. Default
    /// 64.
    pub calls_per_principal: usize,
    /// Requests of all principals that one HTTP server is working on at the same time; one more waits
    /// for its turn, within its own deadline, in the order of coming. Over HTTP/1.1 each takes a
    /// connection, which is an open file. Streams that stay open for what a server says unasked do
    /// not count. Default 512.
    pub calls_in_flight: usize,
    /// Streams on which one HTTP server tells of changed tools (2026-07-28), over all principals,
    /// one each; past it, who was idle longest is told nothing. Default 256.
    pub subscriptions: usize,
    /// Messages from the server within one answer (progress, logs, requests). Default 10,000.
    pub messages_per_answer: usize,
    /// Rounds of `input_required` in one call. Default 8.
    pub input_rounds: usize,
    /// Sessions and stream connections of one server, over all principals; past it, who was idle
    /// longest makes way. Those that nobody has used for half an hour go too, when anybody uses the
    /// server next: nothing runs beside the calls, so that a server which nobody uses any more keeps
    /// what it has, within this bound, until its last handle is dropped or it is closed. Default
    /// 10,000.
    pub sessions: usize,
    /// What is kept of a child's standard error, in bytes. Default 64 KiB.
    pub stderr_bytes: usize,
    /// Connecting, TLS included. Default 10 s.
    pub connect_timeout: Duration,
    /// From nothing to a server that has told its version, credentials included, where the caller
    /// gives no deadline. Default 30 s.
    pub startup_timeout: Duration,
    /// One whole call, where the caller gives no deadline: retries, refreshes and the time that a
    /// user takes to consent included, because whoever waits for the call waits for those, too.
    /// Default 30 s.
    pub call_timeout: Duration,
    /// Saying goodbye: closing a session or waiting for a child to leave. Default 2 s.
    pub close_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 16 << 20,
            message_bytes: 16 << 20,
            snippet_bytes: 512,
            pages: 1_000,
            tools: 10_000,
            redirects: 5,
            pending_requests: 1_024,
            calls_per_principal: 64,
            calls_in_flight: 512,
            subscriptions: 256,
            messages_per_answer: 10_000,
            input_rounds: 8,
            sessions: 10_000,
            stderr_bytes: 64 << 10,
            connect_timeout: Duration::from_secs(10),
            startup_timeout: Duration::from_secs(30),
            call_timeout: Duration::from_secs(30),
            close_timeout: Duration::from_secs(2),
        }
    }
}
