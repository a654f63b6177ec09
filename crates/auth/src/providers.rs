//! Ready-made providers, one file each.

mod anonymous;
mod bearer;
mod combined;
mod from_fn;
mod headers;
mod per_principal;

pub use anonymous::Anonymous;
pub use bearer::Bearer;
pub use combined::Combined;
pub use from_fn::{FromAsyncFn, FromFn, RequestInfo, from_async_fn, from_fn};
pub use headers::Headers;
pub use per_principal::PerPrincipal;
