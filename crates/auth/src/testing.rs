//! What a provider, a source or a store of one's own is tested with. Feature `test-util`.
//!
//! ```
//! use std::sync::Arc;
//! use mcp_auth::RefreshingToken;
//! use mcp_auth::testing::{ScriptedSource, check_provider};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let source = ScriptedSource::new();
//! let provider = RefreshingToken::new(source.clone());
//! check_provider(Arc::new(provider)).await.unwrap();
//! assert!(source.calls() > 0);
//! # }
//! ```

mod clock;
mod conformance;
mod counter;
mod rotating;
mod source;
mod store;

pub use clock::{ManualClock, PausedClock};
pub use conformance::{Violations, check_provider, check_store};
pub use counter::Counter;
pub use rotating::RotatingIssuer;
pub use source::{ScriptedSource, Step};
pub use store::{ScriptedStore, StoreCall};
