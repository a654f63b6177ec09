//! Ready-made providers, one file each.

mod anonymous;
mod bearer;
mod combined;
mod from_fn;
mod headers;
#[cfg(feature = "command")]
mod headers_helper;
mod per_principal;
mod secret_headers;

pub use anonymous::Anonymous;
pub use bearer::Bearer;
pub use combined::Combined;
pub use from_fn::{FromAsyncFn, FromFn, RequestInfo, from_async_fn, from_fn};
pub use headers::Headers;
#[cfg(feature = "command")]
pub use headers_helper::HeadersHelper;
pub use per_principal::PerPrincipal;
pub use secret_headers::SecretHeaders;
