//! The tools that an agent gets: ordered, named, and bound to whom they were loaded for.

mod builder;
mod catalog;

use std::fmt;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use mcp_core::{
    CacheScope, CallContext, Error, Failure, Principal, ServerId, ServerInfo, SkippedTool,
    ToolDefinition,
};

pub use self::builder::ToolSetBuilder;
use self::catalog::Catalog;
pub use self::catalog::LoadedServer;
use crate::names::{self, Wanted};
use crate::tool::{Binding, Listed};
use crate::{AgentTool, Middleware};

/// Names that an error suggests.
const MAX_CANDIDATES: usize = 5;

/// Tools in order, of one server or of several. Cloning copies a few pointers.
///
/// What the tools are is shared by everybody in the process whose set has the same content; a set
/// holds a few words per server beside it. Made by [`ToolSet::builder`], out of others by
/// [`ToolSet::merge`], or collected from single tools.
///
/// ```
/// use mcp_adapter::{AgentTool, ToolSet};
/// use serde_json::{Value, json};
///
/// let schema = json!({ "type": "object" });
/// let say = |_: Value| async { Ok("hello") };
/// let tools: ToolSet = [
///     AgentTool::from_parts("hello", "Says hello", &schema, say)?,
///     AgentTool::local("hello.again", "Says it again", &schema, say)?,
/// ]
/// .into_iter()
/// .collect();
/// let names: Vec<String> = tools.iter().map(|tool| tool.name().to_owned()).collect();
/// assert_eq!(names, ["hello", "hello_again"]);
/// assert_eq!(tools.get("hello.again")?.name(), "hello_again");
/// assert!(tools.get("helo").unwrap_err().to_string().contains("there is hello"));
/// # Ok::<(), mcp_core::Error>(())
/// ```
#[derive(Clone)]
pub struct ToolSet {
    catalog: Arc<Catalog>,
    /// One for each server of the catalog, in its order.
    bindings: Arc<[Arc<Binding>]>,
    /// What it was made with, if it is just what a builder made.
    shape: Option<Arc<builder::Shape>>,
    ttl: Option<Duration>,
    cache_scope: CacheScope,
}

impl ToolSet {
    /// Several sets as one, in their order. Where two tools have the same exposed name, all that
    /// have it get a suffix that depends on server and tool alone: no server can take over the name
    /// of another one's tool.
    pub fn merge(sets: impl IntoIterator<Item = Self>) -> Self {
        let mut sets: Vec<Self> = sets.into_iter().collect();
        if sets.len() == 1 {
            return sets.remove(0);
        }
        let mut servers = Vec::new();
        let mut bindings = Vec::new();
        let mut tools: Vec<(Arc<Listed>, u32)> = Vec::new();
        for set in &sets {
            let offset = u32::try_from(bindings.len()).unwrap_or(u32::MAX);
            servers.extend(set.catalog.servers.iter().cloned());
            bindings.extend(set.bindings.iter().map(Arc::clone));
            for entry in &set.catalog.tools {
                tools.push((Arc::clone(&entry.listed), entry.server + offset));
            }
        }
        // A set without tools has servers all the same: who skipped what stays known.
        let private = sets.iter().any(|set| set.cache_scope != CacheScope::Public);
        Self {
            catalog: Catalog::shared(&servers, &unique(&tools, &bindings)),
            bindings: bindings.into(),
            shape: None,
            ttl: sets.iter().filter_map(|set| set.ttl).min(),
            cache_scope: if private {
                CacheScope::Private
            } else {
                CacheScope::Public
            },
        }
    }

    /// The tool of a name: the exposed one, or the server's own where only one tool has it.
    ///
    /// # Errors
    /// [`Failure::UnknownTool`] with the names that may have been meant.
    pub fn get(&self, name: &str) -> Result<AgentTool, Error> {
        if let Some(tool) = self.find(name) {
            return Ok(tool);
        }
        let mut same = self
            .catalog
            .tools
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry.listed.shared.definition().name() == name);
        match (same.next(), same.next()) {
            (Some((index, _)), None) => self.at(index).ok_or_else(|| self.unknown(name)),
            _ => Err(self.unknown(name)),
        }
    }

    /// The tool of an exposed name.
    pub fn find(&self, name: &str) -> Option<AgentTool> {
        self.at(self.catalog.position(name)?)
    }

    /// All tools, in the servers' order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = AgentTool> + '_ {
        self.catalog.tools.iter().map(|entry| self.tool(entry))
    }

    /// How many tools there are.
    pub fn len(&self) -> usize {
        self.catalog.tools.len()
    }

    /// Whether there is no tool.
    pub fn is_empty(&self) -> bool {
        self.catalog.tools.is_empty()
    }

    /// The servers, in order: what each said of itself, and what was left out.
    pub fn servers(&self) -> &[LoadedServer] {
        &self.catalog.servers
    }

    /// What the server said of itself; of several, the first.
    pub fn server_info(&self) -> Option<&ServerInfo> {
        self.catalog.servers.first().map(|server| &server.info)
    }

    /// What was left out, and why.
    pub fn skipped(&self) -> impl Iterator<Item = (&ServerId, &SkippedTool)> {
        self.catalog.servers.iter().flat_map(|server| {
            server
                .skipped
                .iter()
                .map(move |skipped| (&server.id, skipped))
        })
    }

    /// How long the servers vouch for the list; the shortest of several.
    pub fn ttl(&self) -> Option<Duration> {
        self.ttl
    }

    /// Who may share the list of tools, as its server says. The bindings are never shared.
    pub fn cache_scope(&self) -> CacheScope {
        self.cache_scope
    }

    /// The same tools for another principal. Only for a list that the other one may see: one that is
    /// [`CacheScope::Public`], or known by you to be the same for everybody.
    pub fn with_principal(&self, principal: &Principal) -> Self {
        self.rebound(|binding| binding.principal = Some(principal.clone()))
    }

    /// The same tools with another time for one call. Default 30 s.
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        self.rebound(|binding| binding.timeout = timeout)
    }

    /// The same tools with one more middleware, innermost.
    pub fn with_middleware(&self, middleware: impl Middleware + 'static) -> Self {
        let middleware = Arc::new(middleware);
        self.rebound(|binding| {
            binding.middleware = binding.middleware.with(Arc::clone(&middleware));
        })
    }

    /// The same tools without those that a closure turns down.
    pub fn retain(&self, mut keep: impl FnMut(&AgentTool) -> bool) -> Self {
        let kept = self
            .catalog
            .tools
            .iter()
            .filter(|entry| keep(&self.tool(entry)));
        let kept = kept.map(|entry| (Arc::clone(&entry.listed), entry.server));
        let catalog = Catalog::shared(&self.catalog.servers, &kept.collect::<Vec<_>>());
        Self {
            catalog,
            shape: None,
            ..self.clone()
        }
    }

    /// Says goodbye: ends what the servers keep for the tools' principal (a session, a child),
    /// within this time. A program that is about to end does well to wait for it; whoever calls
    /// the tools again begins anew.
    pub async fn close(&self, timeout: Duration) {
        let contexts: Vec<CallContext> = self
            .bindings
            .iter()
            .map(|binding| {
                let principal = binding.principal.clone().unwrap_or_default();
                CallContext::new(principal).with_timeout(timeout)
            })
            .collect();
        let servers = self.bindings.iter().map(|binding| &binding.server);
        let mut closing: Vec<_> = servers
            .zip(&contexts)
            .map(|(server, context)| server.close(context))
            .collect();
        // Side by side, so that one that hangs takes nothing from the others' time.
        std::future::poll_fn(|task| {
            closing.retain_mut(|goodbye| goodbye.as_mut().poll(task).is_pending());
            if closing.is_empty() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    fn rebound(&self, change: impl Fn(&mut Binding)) -> Self {
        let changed = |binding: &Arc<Binding>| {
            let mut binding = (**binding).clone();
            change(&mut binding);
            Arc::new(binding)
        };
        Self {
            bindings: self.bindings.iter().map(changed).collect(),
            ..self.clone()
        }
    }

    /// The definitions of one of its servers, in order.
    pub(crate) fn definitions_of(
        &self,
        server: usize,
    ) -> impl Iterator<Item = &Arc<ToolDefinition>> {
        let tools = self.catalog.tools.iter();
        tools
            .filter(move |entry| entry.server as usize == server)
            .map(|entry| entry.listed.shared.definition())
    }

    fn at(&self, index: usize) -> Option<AgentTool> {
        self.catalog.tools.get(index).map(|entry| self.tool(entry))
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "every entry was made with the binding that it names"
    )]
    fn tool(&self, entry: &catalog::Entry) -> AgentTool {
        let binding = &self.bindings[entry.server as usize];
        AgentTool::from_shared(Arc::clone(&entry.listed), Arc::clone(binding))
    }

    fn unknown(&self, name: &str) -> Error {
        let asked: String = name.chars().filter(|c| !c.is_control()).take(128).collect();
        let lower = asked.to_lowercase();
        let mut near: Vec<(bool, f64, &str)> = Vec::new();
        for entry in &self.catalog.tools {
            let exposed = &*entry.listed.name;
            let same = entry.listed.shared.definition().name() == name;
            let known = exposed.to_lowercase();
            let contains = !lower.is_empty() && (known.contains(&lower) || lower.contains(&known));
            let likeness = strsim::jaro_winkler(&known, &lower);
            if same || contains || likeness > 0.8 {
                near.push((same, likeness, exposed));
            }
        }
        near.sort_by(|a, b| b.0.cmp(&a.0).then(b.1.total_cmp(&a.1)));
        let candidates = near
            .into_iter()
            .take(MAX_CANDIDATES)
            .map(|(_, _, name)| name.to_owned());
        Failure::UnknownTool {
            name: asked,
            candidates: candidates.collect(),
        }
        .into()
    }
}

/// Single tools as a set, such as tools made by hand.
impl FromIterator<AgentTool> for ToolSet {
    fn from_iter<I: IntoIterator<Item = AgentTool>>(tools: I) -> Self {
        let mut bindings: Vec<Arc<Binding>> = Vec::new();
        let mut servers = Vec::new();
        let mut listed = Vec::new();
        for tool in tools {
            let binding = tool.binding();
            let known = bindings
                .iter()
                .position(|known| Arc::ptr_eq(known, binding));
            let index = known.unwrap_or_else(|| {
                bindings.push(Arc::clone(binding));
                let mut info = ServerInfo::default();
                info.transport = Some(tool.transport());
                servers.push(LoadedServer::new(tool.server().clone(), info, Vec::new()));
                bindings.len() - 1
            });
            listed.push((
                Arc::clone(tool.listed()),
                u32::try_from(index).unwrap_or(u32::MAX),
            ));
        }
        Self {
            catalog: Catalog::shared(&servers, &unique(&listed, &bindings)),
            bindings: bindings.into(),
            shape: None,
            ttl: None,
            cache_scope: CacheScope::Private,
        }
    }
}

impl fmt::Debug for ToolSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let servers: Vec<_> = self.servers().iter().map(|server| &server.id).collect();
        f.debug_struct("ToolSet")
            .field("servers", &servers)
            .field("tools", &self.len())
            .field("ttl", &self.ttl)
            .field("cache_scope", &self.cache_scope)
            .finish_non_exhaustive()
    }
}

/// Renames tools whose names are not the only ones of their kind.
fn unique(tools: &[(Arc<Listed>, u32)], bindings: &[Arc<Binding>]) -> Vec<(Arc<Listed>, u32)> {
    let wanted: Option<Vec<Wanted<'_>>> = tools
        .iter()
        .map(|(listed, server)| {
            Some(Wanted {
                server: bindings.get(*server as usize)?.server.id(),
                remote: listed.shared.definition().name(),
                name: &listed.name,
                keeps: false,
            })
        })
        .collect();
    let names = names::assign(&wanted.unwrap_or_default());
    let renamed = tools.iter().zip(names).map(|((listed, server), name)| {
        if name == listed.name {
            return (Arc::clone(listed), *server);
        }
        let shared = Arc::clone(&listed.shared);
        (Arc::new(Listed { name, shared }), *server)
    });
    renamed.collect()
}

#[cfg(test)]
mod tests;
