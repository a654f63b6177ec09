//! What the replicas of a platform tell each other, whatever carries it.
//!
//! Several processes that serve the same users keep things each for itself: loaded tools, tokens,
//! counts of calls. These are the seams by which they stay of one mind:
//!
//! * [`InvalidationBus`]: what one forgets, all forget: a logout, a refusal, changed tools.
//! * [`CatalogStore`]: the public lists of tools that one asked for, for those that start later.
//! * [`SharedQuota`]: so many calls for each principal, over all replicas.
//!
//! A carrier (Redis, another broker, [`LocalBus`] within one process) implements them and knows
//! neither tools nor transports; what keeps things uses them and knows no carrier.

mod bus;
mod catalog;
mod hub;
mod invalidation;
mod quota;
mod tag;

pub use bus::{BusEvent, InvalidationBus, LocalBus, Origin, Subscription};
pub use catalog::{CatalogEntry, CatalogError, CatalogKey, CatalogStore};
pub use hub::Hub;
pub use invalidation::{Cause, Invalidation, Scope};
pub use quota::{Grant, QuotaError, QuotaRequest, SharedQuota};
pub use tag::PrincipalTag;
