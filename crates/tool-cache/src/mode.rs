//! What a caller wants of the cache.

/// What a caller wants of the cache, as [`ToolCache::load`](crate::ToolCache::load) takes it.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum CacheMode {
    /// What is kept, where it is fresh; else the server is asked and its answer kept.
    #[default]
    Use,
    /// What is kept is forgotten, the server is asked, and its answer kept, for everybody who asks
    /// meanwhile.
    Refresh,
    /// The server is asked and nothing is kept; what is kept stays as it is.
    Bypass,
}

impl CacheMode {
    /// The name that logs and configuration use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Use => "use",
            Self::Refresh => "refresh",
            Self::Bypass => "bypass",
        }
    }
}
