//! What a server says of itself: in its handshake, or where there is none, when it is asked.

use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::Capabilities;
use crate::auth::time::Instant;
use crate::{Error, ProtocolVersion, ServerInfo, Transport};

/// What a server answered to `initialize` (2025-11-25, basic/lifecycle). For transports.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Handshake {
    /// The version that it chose.
    pub version: ProtocolVersion,
    /// What it offers.
    pub capabilities: Capabilities,
    /// Who it is.
    pub info: ServerInfo,
}

/// What a server answered to `server/discover` (2026-07-28, server/discover). For transports.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Discovery {
    /// The versions that it speaks, as it lists them.
    pub supported: Vec<String>,
    /// What it offers.
    pub capabilities: Capabilities,
    /// Who it is.
    pub info: ServerInfo,
    /// Until when everybody may be told the same; `None` when it is for who asked.
    pub public_until: Option<Instant>,
}

impl Handshake {
    /// Reads a result.
    ///
    /// # Errors
    /// [`Failure::Protocol`](crate::Failure) when it is malformed, or the version is none that has a
    /// handshake here.
    pub fn read(result: &RawValue, transport: Transport) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Said {
            #[serde(rename = "protocolVersion")]
            version: String,
            #[serde(default)]
            capabilities: Capabilities,
            #[serde(default, rename = "serverInfo")]
            server: Option<Implementation>,
            #[serde(default)]
            instructions: Option<String>,
        }
        let said: Said = serde_json::from_str(result.get())
            .map_err(|error| Error::protocol_because("the handshake is malformed", error))?;
        // A stateless version has no handshake; some servers name it in one all the same.
        let version = ProtocolVersion::parse(&said.version)
            .filter(|version| !version.is_stateless())
            .ok_or_else(|| ProtocolVersion::none_in_common(std::slice::from_ref(&said.version)))?;
        Ok(Self {
            version,
            capabilities: said.capabilities,
            info: info(said.server, said.instructions, version, transport),
        })
    }
}

impl Discovery {
    /// Reads a result, of a server that was asked in this version.
    ///
    /// # Errors
    /// [`Failure::Protocol`](crate::Failure) when it is malformed.
    pub fn read(
        result: &RawValue,
        version: ProtocolVersion,
        transport: Transport,
    ) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Said {
            #[serde(rename = "supportedVersions")]
            supported: Vec<String>,
            #[serde(default)]
            capabilities: Capabilities,
            #[serde(default)]
            instructions: Option<String>,
            #[serde(default, rename = "ttlMs")]
            ttl_ms: Option<Value>,
            #[serde(default, rename = "cacheScope")]
            cache_scope: Option<String>,
            #[serde(default, rename = "_meta")]
            meta: Option<Meta>,
        }
        #[derive(Deserialize)]
        struct Meta {
            #[serde(default, rename = "io.modelcontextprotocol/serverInfo")]
            server: Option<Implementation>,
        }
        let said: Said = serde_json::from_str(result.get())
            .map_err(|error| Error::protocol_because("the discovery is malformed", error))?;
        let server = said.meta.and_then(|meta| meta.server);
        let lifetime = lifetime(said.ttl_ms.as_ref());
        let public = said.cache_scope.as_deref() == Some("public") && !lifetime.is_zero();
        Ok(Self {
            supported: said.supported,
            capabilities: said.capabilities,
            info: info(server, said.instructions, version, transport),
            public_until: public.then(|| Instant::now() + lifetime),
        })
    }
}

/// A server's word on itself is taken for an hour at most.
const LONGEST_PUBLIC: Duration = Duration::from_secs(60 * 60);

/// A time in milliseconds, whatever a server writes there; none for nonsense.
fn lifetime(ttl_ms: Option<&Value>) -> Duration {
    let millis = ttl_ms.and_then(Value::as_f64).unwrap_or_default();
    let seconds = (millis / 1000.0).clamp(0.0, LONGEST_PUBLIC.as_secs_f64());
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// `Implementation`, as servers write it.
#[derive(Default, Deserialize)]
struct Implementation {
    #[serde(default)]
    name: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    title: Option<String>,
    #[serde(default, deserialize_with = "text_or_none")]
    description: Option<String>,
    #[serde(default, deserialize_with = "text_or_none", rename = "websiteUrl")]
    website_url: Option<String>,
    #[serde(default)]
    icons: Option<Box<RawValue>>,
}

/// What is no text, where only people would have read it, spoils nothing.
fn text_or_none<'de, D: Deserializer<'de>>(said: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(said)? {
        Value::String(text) => Some(text),
        _ => None,
    })
}

fn info(
    server: Option<Implementation>,
    instructions: Option<String>,
    version: ProtocolVersion,
    transport: Transport,
) -> ServerInfo {
    let server = server.unwrap_or_default();
    ServerInfo {
        name: server.name,
        version: server.version,
        title: server.title,
        description: server.description,
        website_url: server.website_url,
        icons: server.icons.map(|icons| icons.get().into()),
        instructions,
        protocol: Some(version),
        transport: Some(transport),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_server_says_of_itself_for_people_is_kept_and_spoils_nothing() {
        let read = |server: &Value| {
            let handshake = json!({"protocolVersion": "2025-11-25", "serverInfo": server});
            let meta = json!({"io.modelcontextprotocol/serverInfo": server});
            let discovery = json!({"supportedVersions": ["2026-07-28"], "_meta": meta});
            let raw = |said: &Value| serde_json::value::to_raw_value(said).unwrap();
            let transport = Transport::StreamableHttp;
            let handshake = Handshake::read(&raw(&handshake), transport).unwrap();
            let latest = ProtocolVersion::LATEST;
            let discovery = Discovery::read(&raw(&discovery), latest, transport).unwrap();
            [handshake.info, discovery.info]
        };
        let icons = json!([{"src": "https://s.test/i.png", "mimeType": "image/png"}]);
        let said = json!({"name": "n", "version": "1", "description": "d",
            "websiteUrl": "https://s.test", "icons": icons});
        for info in read(&said) {
            assert_eq!(info.description.as_deref(), Some("d"));
            assert_eq!(info.website_url.as_deref(), Some("https://s.test"));
            assert_eq!(info.icons()[0].src, "https://s.test/i.png");
        }
        let nonsense = json!({"name": "n", "description": 5, "websiteUrl": [], "icons": "x"});
        for info in read(&nonsense) {
            assert_eq!((info.name.as_str(), info.icons().len()), ("n", 0));
            assert_eq!((info.description, info.website_url), (None, None));
        }
    }

    fn public_for(ttl_ms: &Value, scope: &str) -> Option<u64> {
        let said = json!({"supportedVersions": ["2026-07-28"], "ttlMs": ttl_ms,
            "cacheScope": scope});
        let said = serde_json::value::to_raw_value(&said).unwrap();
        let read = Discovery::read(&said, ProtocolVersion::LATEST, Transport::StreamableHttp);
        let left = read.unwrap().public_until? - Instant::now();
        Some(left.as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn f6_a_lifetime_of_any_kind_is_clamped_and_spoils_nothing_else() {
        for (ttl_ms, public) in [
            (json!(60_000), Some(60)),
            (json!(1500.5), Some(1)),
            (json!(1e300), Some(3600)),
            (json!(0), None),
            (json!(-5), None),
            (json!("soon"), None),
            (json!(null), None),
        ] {
            assert_eq!(public_for(&ttl_ms, "public"), public, "{ttl_ms}");
        }
        assert_eq!(public_for(&json!(60_000), "private"), None);
    }
}
