//! Ready-made providers, one file each.

mod anonymous;
mod bearer;
mod headers;

pub use anonymous::Anonymous;
pub use bearer::Bearer;
pub use headers::Headers;
