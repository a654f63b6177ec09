//! The long-lived handle of a platform: all servers, for all users.

mod builder;
mod changes;
#[cfg(feature = "stdio")]
mod child;
mod hot;
mod logout;
mod member;
mod spec;
mod tools;
mod watching;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use mcp_adapter::ToolSetBuilder;
use mcp_auth::Fingerprint;
use mcp_auth::time::Instant;
use mcp_core::{CallContext, Error, Principal, ServerId, ToolServer};
use mcp_tool_cache::ToolCache;

pub use self::builder::McpToolkitBuilder;
use self::hot::{Hot, Memo};
pub use self::logout::LogoutError;
use self::member::{Life, Member};
pub use self::spec::ToolkitServer;
pub use self::tools::{PrincipalTools, ServerTools};
use self::watching::Watching;

/// All servers of a platform, for all its users. Cloning copies a pointer.
///
/// One value lives as long as the platform. Each server is set up once, whoever uses it;
/// [`tools_for`](Self::tools_for) gives a user's tools with that user's credentials, from a cache
/// where it can.
///
/// ```no_run
/// use std::time::Duration;
/// use mcp_toolkit::auth::{Principal, SecretHeaders, SecretRef};
/// use mcp_toolkit::config::Config;
/// use mcp_toolkit::middleware::Audit;
/// use mcp_toolkit::{McpToolkit, ServerTools, load_mcp_tools_http, load_mcp_tools_stdio};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let toolkit = McpToolkit::builder()
///     .config(&Config::load("mcp.json")?)
///     .server("search", load_mcp_tools_http("https://search.example.com/mcp").prefix("search_"))
///     .server("files", load_mcp_tools_stdio("files-mcp").args(["--read-only"]))
///     .middleware(Audit::new())
///     .build()?;
///
/// let alice = Principal::in_tenant("acme", "alice")?;
/// let hers = toolkit.tools_for(&alice).await;
/// for (server, tools) in hers.servers() {
///     match tools {
///         ServerTools::Active(tools) => println!("{server}: {} tools", tools.len()),
///         ServerTools::NeedsAuthorization(_) => println!("{server}: not connected yet"),
///         ServerTools::Failed(error) => println!("{error}"),
///         _ => {}
///     }
/// }
/// let output = hers.tools().get("search_web")?.call(serde_json::json!({ "q": "rust" })).await?;
///
/// toolkit.logout(&alice, "search").await?;
/// toolkit.shutdown(Duration::from_secs(10)).await;
/// # Ok(())
/// # }
/// ```
///
/// No task of its own runs, except where a cache has a [bus](McpToolkitBuilder::bus): one for each
/// server then waits for the notice that tools changed. Dropping the last clone, and the last tool
/// that was had from it, ends connections and child processes in the background;
/// [`shutdown`](Self::shutdown) waits for that.
#[derive(Clone)]
pub struct McpToolkit(Arc<Inner>);

struct Inner {
    entries: Box<[Entry]>,
    /// The names of the entries, as every answer carries them.
    ids: Arc<[ServerId]>,
    cache: Arc<ToolCache>,
    hot: Hot,
    life: Arc<Life>,
    watching: Watching,
}

/// A server, or why there is none.
struct Entry {
    id: ServerId,
    served: Result<Served, Error>,
}

struct Served {
    member: Arc<Member>,
    /// What is made of its tools; for whom is added at each load.
    template: ToolSetBuilder,
}

/// How a load ended, and what a later one must find unchanged.
struct Loaded {
    tools: ServerTools,
    credentials: Option<Fingerprint>,
    /// Until when it is the answer, if it is more than the answer of a moment.
    until: Option<Instant>,
}

impl McpToolkit {
    /// Says which servers there are, and what holds for all of them.
    pub fn builder() -> McpToolkitBuilder {
        McpToolkitBuilder::new()
    }

    /// The tools of a principal, on every server: from the cache where it has them for the
    /// credentials that the principal has now, else from the servers.
    ///
    /// Never fails as a whole. All servers are asked side by side, each for as long as its own
    /// startup time at most; one that is down, slow or hostile keeps the others waiting no longer
    /// than that, and its failure is remembered for a few seconds. Dropping the future stops the
    /// loads that nobody else waits for.
    pub async fn tools_for(&self, principal: &Principal) -> PrincipalTools {
        if let Some(tools) = self.0.held(principal) {
            return tools;
        }
        // Rare and large.
        Box::pin(self.0.assemble(principal)).await
    }

    /// The names of all servers, in order: those of the file, then those of code.
    pub fn servers(&self) -> &[ServerId] {
        &self.0.ids
    }

    /// Where loaded tools are kept. What is invalidated there is loaded anew here.
    pub fn cache(&self) -> &ToolCache {
        &self.0.cache
    }

    /// Ends everything in order: further loads and calls are refused, calls under way have half of
    /// the time to finish, then sessions are ended and child processes stopped. Returns after
    /// `grace` at the latest; what is not done by then ends in the background or with its task.
    pub async fn shutdown(&self, grace: Duration) {
        let inner = &*self.0;
        inner.life.end();
        inner.hot.clear();
        let _ = tokio::time::timeout(grace / 2, inner.life.calls_ended()).await;
        let goodbyes = inner.served().map(|served| served.member.close_all(grace));
        let _ = tokio::time::timeout(grace / 2, join_all(goodbyes)).await;
        for id in &*inner.ids {
            inner.cache.forget_server(id).await;
        }
    }
}

impl Inner {
    fn served(&self) -> impl Iterator<Item = &Served> {
        self.entries
            .iter()
            .filter_map(|entry| entry.served.as_ref().ok())
    }

    /// What was put together before, if nothing has changed since. No await, and no lock that
    /// anybody holds for longer than a look.
    fn held(&self, principal: &Principal) -> Option<PrincipalTools> {
        let memo = self.hot.get(principal)?;
        let now = self.cache.clock().now();
        let good = now < memo.until
            && memo.epoch == self.cache.epoch(principal)
            && self.life.check().is_ok()
            && self
                .entries
                .iter()
                .zip(&memo.credentials)
                .all(|(entry, known)| match &entry.served {
                    Ok(served) => {
                        !served.member.changes().are_due()
                            && known.is_some()
                            && served.member.fingerprint_now(principal) == *known
                    }
                    Err(_) => true,
                });
        good.then(|| memo.tools.clone())
    }

    fn watch(&self) {
        let members = self.served().map(|served| &served.member);
        self.watching.start(&self.cache, members);
    }

    async fn assemble(&self, principal: &Principal) -> PrincipalTools {
        self.watch();
        for served in self.served() {
            served.member.act_on_changes(&self.cache).await;
        }
        // Noted before anything is asked for: an invalidation meanwhile makes this stale.
        let epoch = self.cache.epoch(principal);
        let loads = self.entries.iter().map(|entry| self.load(entry, principal));
        let loaded = join_all(loads).await;
        let until = loaded.iter().map(|loaded| loaded.until).min().flatten();
        let credentials = loaded.iter().map(|loaded| loaded.credentials).collect();
        let outcomes = loaded.into_iter().map(|loaded| loaded.tools).collect();
        let tools = PrincipalTools::new(Arc::clone(&self.ids), outcomes);
        if let Some(until) = until
            && self.cache.clock().now() < until
        {
            let memo = Memo {
                epoch,
                until,
                credentials,
                tools: tools.clone(),
            };
            self.hot.put(principal, memo);
        }
        tools
    }

    async fn load(&self, entry: &Entry, principal: &Principal) -> Loaded {
        let fixed = |error: &Error| Loaded {
            tools: ServerTools::Failed(error.clone().at_server(&entry.id)),
            credentials: None,
            until: self.cache.clock().now().checked_add(hot::LONGEST),
        };
        match (&entry.served, self.life.check()) {
            (Err(error), _) => fixed(error),
            (_, Err(error)) => Loaded {
                until: None,
                ..fixed(&error)
            },
            (Ok(served), Ok(())) => Box::pin(self.load_from(served, principal)).await,
        }
    }

    async fn load_from(&self, served: &Served, principal: &Principal) -> Loaded {
        let member = &served.member;
        let limit = member.startup();
        let context = CallContext::new(principal.clone()).with_timeout(limit);
        let asked = context.bound(limit, "waiting for credentials", async {
            Ok(member
                .provider()
                .credentials(member.request(principal))
                .await?)
        });
        let found = match asked.await {
            Ok(found) => found,
            Err(error) => {
                if error.kind().is_refusal() && self.hot.get(principal).is_some() {
                    // There was something until now; others may have it still. Said once: nothing
                    // is held together for somebody who is refused.
                    self.hot.forget(principal);
                    let cache = &self.cache;
                    cache.invalidate_principal_at(principal, member.id()).await;
                }
                return Loaded {
                    tools: ServerTools::from(error.at_server(member.id())),
                    credentials: None,
                    until: None,
                };
            }
        };
        let template = served.template.clone().principal(principal.clone());
        let list = || context.bound(limit, "loading the tools", member.list_in_turn(&context));
        let loading = Box::pin(async {
            let loaded = self.cache.get_or_load_until(&template, &found, list);
            Ok(loaded.await)
        });
        // Somebody else's load may be waited for: the bound is this caller's own all the same.
        match context.bound(limit, "loading the tools", loading).await {
            Ok((outcome, until)) => Loaded {
                until: Some(until),
                credentials: Some(found.fingerprint()),
                tools: match outcome {
                    Ok(tools) => ServerTools::Active(tools),
                    Err(error) => {
                        if error.kind().is_refusal() {
                            member.refused(principal).await;
                        }
                        ServerTools::from(error)
                    }
                },
            },
            Err(error) => Loaded {
                tools: ServerTools::from(error.at_server(member.id())),
                credentials: None,
                until: None,
            },
        }
    }
}

impl fmt::Debug for McpToolkit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpToolkit")
            .field("servers", &self.0.ids)
            .field("cache", &self.0.cache)
            .finish_non_exhaustive()
    }
}
