//! JSON-RPC as MCP writes it: what goes out, what comes in, what a list page says.
//!
//! For transports. Everything is read from borrowed text, and schemas and results stay text.

mod answer;
mod collector;
mod cursor;
mod malformed;
mod message;
mod progress;
mod request;
mod tools;

pub(crate) use answer::CompleteResult;
pub use collector::ToolCollector;
pub use malformed::Malformed;
pub use message::{Message, RpcError, clean};
pub use progress::Progress;
pub use request::{
    CallParams, ClientIdentity, ListParams, RequestMeta, encode_call, encode_notification,
    encode_refusal, encode_request, encode_result,
};
pub use tools::ToolsPage;
