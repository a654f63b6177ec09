//! What a principal has, server by server and together.

use std::fmt;
use std::sync::{Arc, OnceLock};

use mcp_adapter::ToolSet;
use mcp_auth::AuthorizationRequired;
use mcp_core::{Error, Failure, ServerId};

/// The tools of a principal on every server. Cloning copies a pointer.
#[derive(Clone)]
pub struct PrincipalTools(Arc<Inner>);

struct Inner {
    ids: Arc<[ServerId]>,
    /// One for each id, in their order.
    outcomes: Box<[ServerTools]>,
    merged: OnceLock<ToolSet>,
}

/// What a principal has of one server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ServerTools {
    /// Its tools.
    Active(ToolSet),
    /// Why there are none.
    Failed(Error),
    /// The principal has to authorize first: what to show to the user.
    NeedsAuthorization(AuthorizationRequired),
}

impl PrincipalTools {
    pub(super) fn new(ids: Arc<[ServerId]>, outcomes: Box<[ServerTools]>) -> Self {
        let merged = OnceLock::new();
        Self(Arc::new(Inner {
            ids,
            outcomes,
            merged,
        }))
    }

    /// All tools of the servers that are active, as one set, in the servers' order. Names are
    /// unique: where two servers have the same one, both get a suffix. A prefix for each server
    /// keeps names the same whoever else is active.
    pub fn tools(&self) -> &ToolSet {
        self.0
            .merged
            .get_or_init(|| ToolSet::merge(self.active().map(|(_, tools)| tools.clone())))
    }

    /// Every server with what the principal has of it, in the toolkit's order.
    pub fn servers(&self) -> impl ExactSizeIterator<Item = (&ServerId, &ServerTools)> {
        self.0.ids.iter().zip(&self.0.outcomes)
    }

    /// What the principal has of one server.
    pub fn server(&self, name: &str) -> Option<&ServerTools> {
        let mut servers = self.servers();
        let found = servers.find(|(id, _)| id.as_str() == name)?;
        Some(found.1)
    }

    /// The servers whose tools are there.
    pub fn active(&self) -> impl Iterator<Item = (&ServerId, &ToolSet)> {
        self.servers().filter_map(|(id, outcome)| match outcome {
            ServerTools::Active(tools) => Some((id, tools)),
            _ => None,
        })
    }

    /// The servers that could not be had.
    pub fn failed(&self) -> impl Iterator<Item = (&ServerId, &Error)> {
        self.servers().filter_map(|(id, outcome)| match outcome {
            ServerTools::Failed(error) => Some((id, error)),
            _ => None,
        })
    }

    /// The servers that the user has to authorize first.
    pub fn needs_authorization(&self) -> impl Iterator<Item = (&ServerId, &AuthorizationRequired)> {
        self.servers().filter_map(|(id, outcome)| match outcome {
            ServerTools::NeedsAuthorization(required) => Some((id, required)),
            _ => None,
        })
    }
}

impl From<Error> for ServerTools {
    fn from(error: Error) -> Self {
        match error.failure() {
            Failure::NeedsAuthorization(required)
            | Failure::InsufficientScope {
                authorization: Some(required),
                ..
            } => Self::NeedsAuthorization(required.clone()),
            _ => Self::Failed(error),
        }
    }
}

impl fmt::Debug for PrincipalTools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.servers()).finish()
    }
}
