//! A list of tools as it is written down for other replicas.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::CatalogError;
use crate::{
    CacheScope, Limits, ProtocolVersion, ServerInfo, SkippedTool, ToolDefinition, ToolListing,
    ToolServer, Transport,
};

/// A public list, from when it is and how long it is good.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CatalogEntry {
    /// The list, with the definitions byte for byte as the server sent them.
    pub listing: ToolListing,
    /// When the server was asked for it, by the clock of who asked.
    pub given: SystemTime,
    /// Until when it is good.
    pub until: SystemTime,
}

#[derive(Deserialize, Serialize)]
struct Written<'a> {
    version: u32,
    server: Cow<'a, str>,
    place: Cow<'a, str>,
    /// Nanoseconds since 1970.
    given: u64,
    until: u64,
    /// Milliseconds.
    ttl: Option<u64>,
    info: Info,
    skipped: Vec<(String, String)>,
    #[serde(borrow)]
    tools: Vec<&'a RawValue>,
}

#[derive(Deserialize, Serialize)]
struct Info {
    name: String,
    version: String,
    title: Option<String>,
    description: Option<String>,
    website_url: Option<String>,
    icons: Option<String>,
    instructions: Option<String>,
    protocol: Option<String>,
}

const VERSION: u32 = 1;

impl CatalogEntry {
    /// The largest that is written or read, in bytes: 4 MiB.
    pub const MOST_BYTES: usize = 4 * 1024 * 1024;

    /// A list that was asked for then, and is good until then.
    pub fn new(listing: ToolListing, given: SystemTime, until: SystemTime) -> Self {
        Self {
            listing,
            given,
            until,
        }
    }

    /// Writes it down as the list of a server. Holds what the server tells everybody, and of where
    /// the server is no more than a digest.
    ///
    /// # Errors
    /// [`CatalogError::Unusable`] when the list is private or too large.
    pub fn encode(&self, server: &dyn ToolServer) -> Result<Vec<u8>, CatalogError> {
        let listing = &self.listing;
        if listing.cache_scope != CacheScope::Public {
            return Err(CatalogError::Unusable("it is private"));
        }
        let size: usize = listing.tools.iter().map(|tool| tool.raw().len()).sum();
        if size > Self::MOST_BYTES {
            return Err(CatalogError::Unusable("it is too large"));
        }
        let info = &listing.server;
        let raw = |tool: &'_ Arc<ToolDefinition>| serde_json::from_str(tool.raw());
        let tools = listing.tools.iter();
        let raw: Result<Vec<Box<RawValue>>, _> = tools.map(raw).collect();
        let raw = raw.map_err(|_| CatalogError::Unusable("it cannot be written"))?;
        let written = Written {
            version: VERSION,
            server: server.id().as_str().into(),
            place: place(server).into(),
            given: nanos(self.given),
            until: nanos(self.until),
            ttl: listing
                .ttl
                .map(|ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)),
            info: Info {
                name: info.name.clone(),
                version: info.version.clone(),
                title: info.title.clone(),
                description: info.description.clone(),
                website_url: info.website_url.clone(),
                icons: info.icons.as_deref().map(str::to_owned),
                instructions: info.instructions.clone(),
                protocol: info.protocol.map(|version| version.as_str().to_owned()),
            },
            skipped: listing
                .skipped
                .iter()
                .map(|tool| (tool.name.clone(), tool.reason.clone()))
                .collect(),
            tools: raw.iter().map(|raw| &**raw).collect(),
        };
        let text = serde_json::to_vec(&written)
            .map_err(|_| CatalogError::Unusable("it cannot be written"))?;
        if text.len() > Self::MOST_BYTES {
            return Err(CatalogError::Unusable("it is too large"));
        }
        Ok(text)
    }

    /// Reads what [`encode`](Self::encode) wrote of the same server at the same place.
    ///
    /// # Errors
    /// [`CatalogError::Unusable`] when it is something else.
    pub fn decode(content: &[u8], server: &dyn ToolServer) -> Result<Self, CatalogError> {
        if content.len() > Self::MOST_BYTES {
            return Err(CatalogError::Unusable("it is too large"));
        }
        // What the parser says of a mistake may quote what lies there.
        let written: Written<'_> = serde_json::from_slice(content)
            .map_err(|_| CatalogError::Unusable("it cannot be read"))?;
        if written.version != VERSION {
            return Err(CatalogError::Unusable("it is of another version"));
        }
        if written.server != server.id().as_str() || written.place != place(server) {
            return Err(CatalogError::Unusable("it is another server's"));
        }
        if written.tools.len() > Limits::default().tools {
            return Err(CatalogError::Unusable("it has too many tools"));
        }
        let mut info = ServerInfo::default();
        info.name = written.info.name;
        info.version = written.info.version;
        info.title = written.info.title;
        info.description = written.info.description;
        info.website_url = written.info.website_url;
        info.icons = written.info.icons.map(Into::into);
        info.instructions = written.info.instructions;
        info.transport = Some(server.transport());
        info.protocol = written
            .info
            .protocol
            .and_then(|version| ProtocolVersion::parse(&version));
        let mut listing = ToolListing::new(info);
        let tools = written.tools.into_iter();
        let tools = tools.map(|raw| ToolDefinition::parse(raw.get()).map(Arc::new));
        listing.tools = tools
            .collect::<Result<_, _>>()
            .map_err(|_| CatalogError::Unusable("a definition is broken"))?;
        let skipped = written.skipped.into_iter();
        listing.skipped = skipped
            .map(|(name, reason)| SkippedTool::new(name, reason))
            .collect();
        listing.ttl = written.ttl.map(Duration::from_millis);
        listing.cache_scope = CacheScope::Public;
        let (given, until) = (time(written.given)?, time(written.until)?);
        Ok(Self::new(listing, given, until))
    }
}

/// Where a server is, so that one that has moved, or another of its name, is noticed.
fn place(server: &dyn ToolServer) -> String {
    let context = "mcp-toolkit 2026-11-25 place of a server in a shared catalog";
    let mut hasher = blake3::Hasher::new_derive_key(context);
    hasher.update(Transport::as_str(server.transport()).as_bytes());
    hasher.update(&[0]);
    hasher.update(server.endpoint().unwrap_or_default().as_bytes());
    hasher.finalize().to_hex().as_str().to_owned()
}

fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn time(nanos: u64) -> Result<SystemTime, CatalogError> {
    UNIX_EPOCH
        .checked_add(Duration::from_nanos(nanos))
        .ok_or(CatalogError::Unusable("it is of no time"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BoxFuture, CallContext, Error, ServerId, ToolCall, ToolOutput};

    #[derive(Debug)]
    struct At(ServerId, &'static str);

    impl ToolServer for At {
        fn id(&self) -> &ServerId {
            &self.0
        }

        fn transport(&self) -> Transport {
            Transport::StreamableHttp
        }

        fn endpoint(&self) -> Option<&str> {
            Some(self.1)
        }

        fn list_tools<'a>(
            &'a self,
            _: &'a CallContext,
        ) -> BoxFuture<'a, Result<ToolListing, Error>> {
            Box::pin(async { Ok(ToolListing::new(ServerInfo::default())) })
        }

        fn call_tool<'a>(
            &'a self,
            _: ToolCall<'a>,
            _: &'a CallContext,
        ) -> BoxFuture<'a, Result<ToolOutput, Error>> {
            Box::pin(async { Ok("".into()) })
        }
    }

    fn at(place: &'static str) -> At {
        At(ServerId::new("s").unwrap(), place)
    }

    #[test]
    fn all_of_a_list_comes_back_and_only_to_a_server_at_the_same_place() {
        let here = at("https://one.test/mcp?key=test-secret");
        let raw = "{\"name\":\"t\\u0021\",  \"x-own\": [1.0e0],\n\"inputSchema\":{}}";
        let mut listing = ToolListing::new(ServerInfo::default());
        listing.server.name = "n".to_owned();
        listing.server.title = Some("t".to_owned());
        listing.server.description = Some("d".to_owned());
        listing.server.website_url = Some("https://s.test".to_owned());
        listing.server.icons = Some("[{\"src\":\"https://s.test/i.png\"}]".into());
        listing.server.instructions = Some("i".to_owned());
        listing.server.protocol = Some(ProtocolVersion::V2026_07_28);
        listing.server.transport = Some(Transport::StreamableHttp);
        listing.tools = vec![Arc::new(ToolDefinition::parse(raw).unwrap())];
        listing.skipped = vec![SkippedTool::new("u", "broken")];
        listing.ttl = Some(Duration::from_millis(1_500));
        listing.cache_scope = CacheScope::Public;
        let given = UNIX_EPOCH + Duration::from_nanos(1_700_000_000_123_456_789);
        let entry = CatalogEntry::new(listing.clone(), given, given + Duration::from_secs(1));
        let text = entry.encode(&here).unwrap();
        assert!(!String::from_utf8_lossy(&text).contains("one.test"));
        let back = CatalogEntry::decode(&text, &here).unwrap();
        assert_eq!((back.given, back.until), (entry.given, entry.until));
        assert_eq!(back.listing.tools[0].raw(), raw);
        assert_eq!(back.listing.server, listing.server);
        assert_eq!(back.listing.skipped, listing.skipped);
        assert_eq!(back.listing.ttl, listing.ttl);
        assert_eq!(back.listing.cache_scope, CacheScope::Public);
        assert!(CatalogEntry::decode(&text, &at("https://two.test/mcp")).is_err());
        // What is private is never written.
        listing.cache_scope = CacheScope::Private;
        let entry = CatalogEntry::new(listing, entry.given, entry.until);
        assert!(entry.encode(&here).is_err());
    }
}
