//! Which dialect a server speaks: found once, remembered for a while.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use mcp_core::auth::time::Instant;
use mcp_core::duplex::Discovery;
use mcp_core::wire::RpcError;
use mcp_core::{CallContext, Error, ErrorKind, ProtocolVersion};

use super::fault::Fault;
use super::{Inner, TransportChoice};
use crate::client::HttpUrl;

/// How long the dialect is remembered. It also ends when it stops working.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);

/// How long a server may stay silent on the probe before it is taken for an old one; at most this
/// part of the time for starting up.
const PROBE: Duration = Duration::from_secs(5);
const PROBE_SHARE: u32 = 3;

/// How long a request waits for what another one finds out. That one may hang in its own
/// principal's provider, so waiting for ever would let principals stop each other.
const OTHERS_FINDING: Duration = Duration::from_secs(1);

/// How many servers' dialects one client remembers.
const SERVERS: u64 = 10_000;

/// How a server is spoken with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Era {
    /// 2026-07-28.
    Stateless(ProtocolVersion),
    /// 2025-03-26 to 2025-11-25, and whatever the handshake agrees on.
    Session,
    /// HTTP+SSE (2024-11-05), whatever version is spoken over it.
    Sse,
}

/// How long a doubt about the dialect lasts: whoever doubts it again so soon is not heard, or one
/// principal whose requests always fail would have the server asked over and over for everybody.
const DOUBTED: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(crate) struct Finder {
    known: ArcSwapOption<(Era, Instant)>,
    doubted: Mutex<Option<Instant>>,
    finding: tokio::sync::Mutex<()>,
}

/// What is known of all servers that are reached through one client, bounded in number.
#[derive(Debug)]
pub(crate) struct Finders(moka::sync::Cache<Asked, Arc<Finder>>);

/// A server, and what may be spoken with it.
type Asked = (HttpUrl, TransportChoice, Option<ProtocolVersion>);

impl Finders {
    pub(crate) fn finder(
        &self,
        url: &HttpUrl,
        choice: TransportChoice,
        protocol: Option<ProtocolVersion>,
    ) -> Arc<Finder> {
        self.0
            .get_with((url.clone(), choice, protocol), Arc::default)
    }
}

impl Default for Finders {
    fn default() -> Self {
        Self(moka::sync::Cache::new(SERVERS))
    }
}

impl Finder {
    pub(crate) fn known(&self) -> Option<Era> {
        let known = self.known.load();
        let (era, until) = known.as_deref()?;
        (Instant::now() < *until).then_some(*era)
    }

    /// A request met another dialect than this one, as it seems: it is to be found anew, unless that
    /// has just been done.
    pub(crate) fn doubt(&self, era: Era) {
        if self.known() != Some(era) {
            return;
        }
        let now = Instant::now();
        let mut doubted = self.doubted.lock().unwrap_or_else(PoisonError::into_inner);
        if doubted.is_none_or(|before| now.saturating_duration_since(before) >= DOUBTED) {
            *doubted = Some(now);
            self.known.store(None);
        }
    }

    fn remember(&self, era: Era) {
        let until = Instant::now() + REMEMBERED;
        self.known.store(Some(Arc::new((era, until))));
    }
}

impl Inner {
    /// How the server is spoken with, and what it said of itself if it had to be asked just now.
    pub(crate) async fn era(
        &self,
        context: &CallContext,
    ) -> Result<(Era, Option<Discovery>), Error> {
        if let Some(era) = self.finder.known() {
            return Ok((era, None));
        }
        let finding = tokio::time::timeout(OTHERS_FINDING, self.finder.finding.lock());
        let _finding = finding.await.ok();
        if let Some(era) = self.finder.known() {
            return Ok((era, None));
        }
        // What the caller says counts for all of it: a user may have to consent first.
        let limit = match context.deadline {
            Some(_) => Duration::MAX,
            None => self.limits.startup_timeout,
        };
        // Rare and large: it must not make the future of every call large.
        let finding = Box::pin(self.find(context));
        let found = context
            .bound(limit, "finding the protocol version", finding)
            .await?;
        tracing::debug!(server = %self.id, era = ?found.0, "dialect found");
        self.finder.remember(found.0);
        Ok(found)
    }

    async fn find(&self, context: &CallContext) -> Result<(Era, Option<Discovery>), Error> {
        let auto = self.choice == TransportChoice::Auto;
        match (self.choice, self.protocol) {
            (TransportChoice::Sse, _) => return Ok((Era::Sse, None)),
            (TransportChoice::Auto, Some(ProtocolVersion::V2024_11_05)) => {
                return Ok((Era::Sse, None));
            }
            (_, Some(version)) if version.is_stateless() => {
                return Ok((Era::Stateless(version), None));
            }
            _ => {}
        }
        let looks_like_sse = self.url.path().trim_end_matches('/').ends_with("/sse");
        if auto && looks_like_sse && self.speaks_sse(context).await? {
            return Ok((Era::Sse, None));
        }
        let (mut offer, mut no_endpoint) = (ProtocolVersion::LATEST_LEGACY, true);
        if self.protocol.is_none() {
            match self.probe(context).await? {
                Probed::Stateless(discovery) => {
                    let era = Era::Stateless(ProtocolVersion::LATEST);
                    return Ok((era, Some(*discovery)));
                }
                Probed::Offers(version) => (offer, no_endpoint) = (version, false),
                Probed::Unknown { no_endpoint: none } => no_endpoint = none,
            }
        }
        let Err(fault) = self.session(context, None, offer).await else {
            return Ok((Era::Session, None));
        };
        if let Fault::Refused(refusal) = &fault
            && let Some(supported) = &refusal.supported
            && ProtocolVersion::newest_common(supported) == Some(ProtocolVersion::LATEST)
        {
            // It was silent, and modern all the same.
            return Ok((Era::Stateless(ProtocolVersion::LATEST), None));
        }
        let may_be_sse = auto && no_endpoint && fault.is_no_endpoint();
        if may_be_sse && !looks_like_sse && self.speaks_sse(context).await? {
            return Ok((Era::Sse, None));
        }
        Err(fault.into_error())
    }

    /// Asks in the manner of 2026-07-28 (2026-07-28, basic/versioning).
    async fn probe(&self, context: &CallContext) -> Result<Probed, Error> {
        let mut share = PROBE.min(self.limits.startup_timeout / PROBE_SHARE);
        if let Some(deadline) = context.deadline {
            share = share.min(deadline.saturating_duration_since(Instant::now()) / PROBE_SHARE);
        }
        let latest = ProtocolVersion::LATEST;
        let mut again = true;
        loop {
            // The time for credentials is not the server's: a user may have to consent first.
            let probing = self.discover(latest, context, Some(share));
            let (supported, error) = match probing.await {
                Ok(discovery) if discovery.supported.iter().any(|v| v == latest.as_str()) => {
                    return Ok(Probed::Stateless(Box::new(discovery)));
                }
                Ok(discovery) => (discovery.supported, None),
                Err(Fault::Refused(refusal)) if refusal.code == RpcError::UNSUPPORTED_VERSION => {
                    (refusal.supported.unwrap_or_default(), None)
                }
                Err(Fault::Refused(refusal)) if refusal.is_modern() => {
                    return Err(refusal.error);
                }
                Err(Fault::Failed(error)) => (Vec::new(), Some(error)),
                Err(fault) => {
                    let no_endpoint = fault.is_no_endpoint();
                    return Ok(Probed::Unknown { no_endpoint });
                }
            };
            match error {
                // Something answered, and not as a server of this version would.
                Some(error) if error.kind() == ErrorKind::Protocol => {
                    return Ok(Probed::Unknown { no_endpoint: false });
                }
                Some(error) => return Err(error),
                None => {}
            }
            match ProtocolVersion::newest_common(&supported) {
                // It refused the very version that it lists: maybe not twice.
                Some(version) if version == latest && again => again = false,
                Some(version) if !version.is_stateless() => return Ok(Probed::Offers(version)),
                _ => return Err(ProtocolVersion::none_in_common(&supported)),
            }
        }
    }
}

impl Inner {
    /// Whether a GET opens a stream that HTTP+SSE can be spoken over.
    async fn speaks_sse(&self, context: &CallContext) -> Result<bool, Error> {
        match Box::pin(self.stream(context, None)).await {
            Ok(_) => Ok(true),
            Err(fault) => match fault.error().kind() {
                ErrorKind::HttpStatus | ErrorKind::Protocol | ErrorKind::Timeout => Ok(false),
                _ => Err(fault.into_error()),
            },
        }
    }
}

/// What the probe found.
enum Probed {
    /// A server of 2026-07-28.
    Stateless(Box<Discovery>),
    /// A server that lists the versions it speaks; this is the newest of ours.
    Offers(ProtocolVersion),
    /// Anything else.
    Unknown {
        /// Whether the answer was one that an HTTP+SSE server may give.
        no_endpoint: bool,
    },
}
