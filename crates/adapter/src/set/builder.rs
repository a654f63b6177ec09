//! How a listing becomes a set.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mcp_core::{
    CallContext, Error, Principal, SkippedTool, ToolDefinition, ToolListing, ToolServer,
};

use super::catalog::{Catalog, LoadedServer};
use crate::names::{self, Wanted};
use crate::param_model::ModelKind;
use crate::shared::SharedTool;
use crate::tool::{Binding, Listed};
use crate::{Middleware, MiddlewareStack, ToolLock, ToolSet};

type Filter = Arc<dyn Fn(&ToolDefinition) -> bool + Send + Sync>;

/// What to make of a server's tools. Cloning copies pointers, so that one can be kept per server
/// and used for each principal.
#[derive(Clone)]
pub struct ToolSetBuilder {
    binding: Binding,
    shape: Arc<Shape>,
}

/// Which tools, and under which names: what decides a set's content, given a listing.
#[derive(Clone, Default)]
pub(crate) struct Shape {
    prefix: String,
    enabled: Option<HashSet<String>>,
    disabled: HashSet<String>,
    filter: Option<Filter>,
    lock: Option<Arc<ToolLock>>,
}

impl Shape {
    /// Whether it makes the same of every listing. Closures are the same when they are one.
    fn same(&self, other: &Self) -> bool {
        let same_filter = match (&self.filter, &other.filter) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        };
        let same_lock = match (&self.lock, &other.lock) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        };
        same_filter
            && same_lock
            && self.prefix == other.prefix
            && self.enabled == other.enabled
            && self.disabled == other.disabled
    }

    fn wants(&self, definition: &ToolDefinition) -> bool {
        let name = definition.name();
        self.enabled
            .as_ref()
            .is_none_or(|enabled| enabled.contains(name))
            && !self.disabled.contains(name)
            && self.filter.as_ref().is_none_or(|filter| filter(definition))
    }
}

impl ToolSet {
    /// A set of a server's tools.
    pub fn builder(server: Arc<dyn ToolServer>) -> ToolSetBuilder {
        ToolSetBuilder {
            binding: Binding::new(server),
            shape: Arc::default(),
        }
    }
}

impl ToolSetBuilder {
    /// On whose behalf the tools are called. Without it, anybody may call them, each with a context
    /// of their own.
    pub fn principal(mut self, principal: Principal) -> Self {
        self.binding.principal = Some(principal);
        self
    }

    /// The time for one call, everything included. Default 30 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.binding.timeout = timeout;
        self
    }

    /// Adds a middleware, inside those added before.
    pub fn middleware(mut self, middleware: impl Middleware + 'static) -> Self {
        self.binding.middleware = self.binding.middleware.with(middleware);
        self
    }

    /// Adds a whole stack, inside what was added before.
    pub fn middleware_stack(mut self, stack: &MiddlewareStack) -> Self {
        self.binding.middleware = if self.binding.middleware.is_empty() {
            stack.clone()
        } else {
            self.binding.middleware.join(stack)
        };
        self
    }

    /// A prefix of every exposed name, such as `gh_`: at most 32 letters, digits, `_` and `-`.
    /// The names on the server and of the parameter models stay.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.shape).prefix = prefix.into();
        self
    }

    /// Only these tools, by their names on the server. One that the server does not have is reported
    /// as skipped.
    pub fn enabled(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let names = names.into_iter().map(Into::into).collect();
        Arc::make_mut(&mut self.shape).enabled = Some(names);
        self
    }

    /// Not these tools, by their names on the server.
    pub fn disabled(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Arc::make_mut(&mut self.shape).disabled = names.into_iter().map(Into::into).collect();
        self
    }

    /// Only the tools that the closure lets pass, such as those with an annotation. Annotations are
    /// the server's claim.
    pub fn filter(
        mut self,
        filter: impl Fn(&ToolDefinition) -> bool + Send + Sync + 'static,
    ) -> Self {
        Arc::make_mut(&mut self.shape).filter = Some(Arc::new(filter));
        self
    }

    /// Only tools that are in the lock and have not changed since; the others are reported as
    /// skipped. Ask [`ToolLock::drift`] of a set without this what exactly changed.
    pub fn pinned(mut self, lock: &Arc<ToolLock>) -> Self {
        Arc::make_mut(&mut self.shape).lock = Some(Arc::clone(lock));
        self
    }

    /// Asks the server for its tools and makes the set.
    ///
    /// # Errors
    /// Those of [`ToolServer::list_tools`] and of [`build`](Self::build).
    pub async fn load(&self, context: &CallContext) -> Result<ToolSet, Error> {
        let listing = self.binding.server.list_tools(context).await;
        let server = self.binding.server.id();
        self.build(listing.map_err(|error| error.at_server(server))?)
    }

    /// The server whose tools are wanted.
    pub fn server(&self) -> &Arc<dyn ToolServer> {
        &self.binding.server
    }

    /// On whose behalf, if that was said.
    pub fn bound_principal(&self) -> Option<&Principal> {
        self.binding.principal.as_ref()
    }

    /// A set that was made before, bound as this builder binds: its server handle, principal,
    /// timeout and middleware. `None` when this builder would choose or name tools differently, or
    /// the set is not one builder's alone. Whether the principal may see the set is the caller's to
    /// know.
    pub fn rebind(&self, set: &ToolSet) -> Option<ToolSet> {
        let shape = set.shape.as_ref()?;
        let same_server = match &*set.catalog.servers {
            [only] => only.id == *self.binding.server.id(),
            _ => false,
        };
        let same = Arc::ptr_eq(shape, &self.shape) || shape.same(&self.shape);
        (same && same_server).then(|| ToolSet {
            bindings: Arc::from([Arc::new(self.binding.clone())]),
            ..set.clone()
        })
    }

    /// Makes the set of a listing.
    ///
    /// # Errors
    /// [`Failure::Config`](mcp_core::Failure::Config) when the prefix cannot stand in a name.
    pub fn build(&self, listing: ToolListing) -> Result<ToolSet, Error> {
        names::check_prefix(&self.shape.prefix)?;
        let server = self.binding.server.id();
        let mut skipped = listing.skipped;
        let mut seen = HashSet::with_capacity(listing.tools.len());
        let mut kept = Vec::with_capacity(listing.tools.len());
        for definition in &listing.tools {
            if !seen.insert(definition.name()) {
                let reason = "another tool has the same name";
                skipped.push(SkippedTool::new(definition.name(), reason));
            } else if self.shape.wants(definition) {
                let lock = self.shape.lock.as_ref();
                match lock.and_then(|lock| lock.objection(server, definition)) {
                    None => kept.push(definition),
                    Some(reason) => skipped.push(SkippedTool::new(definition.name(), reason)),
                }
            }
        }
        let mut missing: Vec<_> = self
            .shape
            .enabled
            .iter()
            .flat_map(|enabled| enabled.iter())
            .filter(|name| !seen.contains(name.as_str()))
            .collect();
        missing.sort_unstable();
        for name in missing {
            let reason = "it is enabled here, but the server does not offer it";
            skipped.push(SkippedTool::new(name, reason));
        }
        let prefix = self.shape.prefix.as_str();
        let wishes: Vec<Cow<'_, str>> = kept
            .iter()
            .map(|definition| match prefix {
                "" => Cow::Borrowed(definition.name()),
                prefix => Cow::Owned(format!("{prefix}{}", definition.name())),
            })
            .collect();
        let wanted: Vec<Wanted<'_>> = kept
            .iter()
            .zip(&wishes)
            .map(|(definition, name)| Wanted {
                server,
                remote: definition.name(),
                name,
                keeps: true,
            })
            .collect();
        let tools = kept
            .iter()
            .zip(names::assign(&wanted))
            .map(|(definition, name)| {
                let shared = SharedTool::of(definition, ModelKind::Mcp);
                (Arc::new(Listed { name, shared }), 0)
            });
        let tools: Vec<_> = tools.collect();
        let loaded = LoadedServer::new(server.clone(), listing.server, skipped);
        Ok(ToolSet {
            catalog: Catalog::shared(&[loaded], &tools),
            bindings: Arc::from([Arc::new(self.binding.clone())]),
            shape: Some(Arc::clone(&self.shape)),
            ttl: listing.ttl,
            cache_scope: listing.cache_scope,
        })
    }
}

impl fmt::Debug for ToolSetBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolSetBuilder")
            .field("server", self.binding.server.id())
            .field("principal", &self.binding.principal)
            .field("timeout", &self.binding.timeout)
            .field("middleware", &self.binding.middleware)
            .field("prefix", &self.shape.prefix)
            .field("enabled", &self.shape.enabled)
            .field("disabled", &self.shape.disabled)
            .field("filter", &self.shape.filter.is_some())
            .field("pinned", &self.shape.lock.is_some())
            .finish()
    }
}
