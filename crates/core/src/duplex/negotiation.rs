//! Which version both sides speak (2026-07-28, basic/versioning and basic/transports/stdio).

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::correlator::{Answer, Refusal};
use super::{Capabilities, Discovery, Duplex, Handshake, Outgoing};
use crate::wire::{ClientIdentity, RequestMeta, RpcError, encode_notification};
use crate::{CallContext, Error, ErrorKind, ProtocolVersion, ServerInfo};

/// The part of the start-up time that a server may stay silent on the probe before it is taken for
/// an old one. Its answer still counts when it comes later.
const PROBE_SHARE: u32 = 10;

/// What both sides agreed on.
#[derive(Debug)]
pub(super) struct Negotiated {
    pub(super) version: ProtocolVersion,
    pub(super) info: ServerInfo,
    pub(super) capabilities: Capabilities,
}

/// What the probe found.
enum Probed {
    /// A server of 2026-07-28.
    Stateless(Negotiated),
    /// A server that lists the versions it speaks, and 2026-07-28 is not among them.
    Speaks(Vec<String>),
    /// Anything else: a server that knows only `initialize`, or nothing at all.
    Unknown,
}

/// What `initialize` found.
enum Initialized {
    Done(Negotiated),
    Speaks(Vec<String>),
}

impl Duplex {
    /// Finds the version that both sides speak: asks `server/discover` and, where that is not
    /// understood or not answered in a tenth of [`Limits::startup_timeout`](crate::Limits), falls
    /// back to `initialize`.
    ///
    /// Done once; later calls give what was found. A negotiation that failed or was dropped half-way
    /// leaves the connection in no known state: close it.
    ///
    /// # Errors
    /// [`Failure::Timeout`](crate::Failure) after the start-up time,
    /// [`Failure::Protocol`](crate::Failure) when there is no common version, and whatever ends the
    /// connection meanwhile.
    pub async fn negotiate(&self, context: &CallContext) -> Result<&ServerInfo, Error> {
        if let Some(negotiated) = self.negotiated.get() {
            return Ok(&negotiated.info);
        }
        let limit = self.settings.limits.startup_timeout;
        let found = context
            .bound(limit, "waiting for the server to tell its version", async {
                match self.settings.protocol {
                    None => self.probe(context).await,
                    Some(version) if version.is_stateless() => self.discover_only(context).await,
                    Some(version) => match self.initialize(version, context).await? {
                        Initialized::Done(found) if found.version == version => Ok(found),
                        Initialized::Done(found) => Err(other_version(version, found.version)),
                        Initialized::Speaks(speaks) => {
                            Err(ProtocolVersion::none_in_common(&speaks))
                        }
                    },
                }
            })
            .await?;
        tracing::debug!(version = %found.version, "negotiated");
        Ok(&self.negotiated.get_or_init(|| found).info)
    }

    async fn discover_only(&self, context: &CallContext) -> Result<Negotiated, Error> {
        match self.discover(context).await? {
            Probed::Stateless(found) => Ok(found),
            Probed::Speaks(speaks) => Err(ProtocolVersion::none_in_common(&speaks)),
            Probed::Unknown => Err(Error::protocol(format!(
                "the server does not speak {}",
                ProtocolVersion::LATEST
            ))),
        }
    }

    async fn probe(&self, context: &CallContext) -> Result<Negotiated, Error> {
        let mut discover = std::pin::pin!(self.discover(context));
        let share = self.settings.limits.startup_timeout / PROBE_SHARE;
        let mut offer = ProtocolVersion::LATEST_LEGACY;
        let mut silent = false;
        match timeout(share, &mut discover).await {
            Ok(Ok(Probed::Stateless(found))) => return Ok(found),
            Ok(Ok(Probed::Speaks(speaks))) => {
                offer = ProtocolVersion::newest_common(&speaks)
                    .ok_or_else(|| ProtocolVersion::none_in_common(&speaks))?;
            }
            Ok(Ok(Probed::Unknown)) => {}
            Ok(Err(error)) => return Err(error),
            Err(_) => silent = true,
        }
        let first = {
            let mut initialize = std::pin::pin!(self.initialize(offer, context));
            loop {
                tokio::select! {
                    biased;
                    found = &mut discover, if silent => {
                        // Slow, not old. Whatever it says to `initialize` is of no interest then.
                        silent = false;
                        if let Probed::Stateless(found) = found? {
                            return Ok(found);
                        }
                    }
                    initialized = &mut initialize => break initialized?,
                }
            }
        };
        let speaks = match first {
            Initialized::Done(found) => return Ok(found),
            Initialized::Speaks(speaks) => speaks,
        };
        match ProtocolVersion::newest_common(&speaks) {
            Some(version) if version.is_stateless() => {
                let found = if silent {
                    discover.await
                } else {
                    self.discover(context).await
                };
                match found? {
                    Probed::Stateless(found) => Ok(found),
                    _ => Err(ProtocolVersion::none_in_common(&speaks)),
                }
            }
            Some(version) if version != offer => match self.initialize(version, context).await? {
                Initialized::Done(found) => Ok(found),
                Initialized::Speaks(speaks) => Err(ProtocolVersion::none_in_common(&speaks)),
            },
            _ => Err(ProtocolVersion::none_in_common(&speaks)),
        }
    }

    async fn discover(&self, context: &CallContext) -> Result<Probed, Error> {
        #[derive(Serialize)]
        struct Params<'a> {
            #[serde(rename = "_meta")]
            meta: RequestMeta<'a>,
        }
        let about = Outgoing::new("server/discover", context);
        let (client, capabilities) = (&self.settings.client, &self.capabilities);
        let params = |_| Params {
            meta: RequestMeta::new(ProtocolVersion::LATEST, client, capabilities, None),
        };
        match self.exchange(about, false, params).await {
            Ok(Answer::Result(result)) => Ok(self.read_discovery(&result)),
            Ok(Answer::Refused(refusal)) if refusal.code == RpcError::UNSUPPORTED_VERSION => Ok(
                Probed::Speaks(refusal.supported_versions().unwrap_or_default()),
            ),
            Ok(Answer::Refused(refusal)) if refusal.is_modern() => Err(self.refused(&refusal)),
            Ok(Answer::Refused(_)) => Ok(Probed::Unknown),
            Err(error) if error.kind() == ErrorKind::HttpStatus => Ok(Probed::Unknown),
            Ok(Answer::Lost(error)) | Err(error) => Err(error),
        }
    }

    fn read_discovery(&self, result: &RawValue) -> Probed {
        let version = ProtocolVersion::LATEST;
        let read = Discovery::read(result, version, self.channel.transport());
        let Ok(said) = read else {
            return Probed::Unknown;
        };
        if !said.supported.iter().any(|known| known == version.as_str()) {
            return Probed::Speaks(said.supported);
        }
        Probed::Stateless(Negotiated {
            version,
            info: said.info,
            capabilities: said.capabilities,
        })
    }

    async fn initialize(
        &self,
        offer: ProtocolVersion,
        context: &CallContext,
    ) -> Result<Initialized, Error> {
        #[derive(Serialize)]
        struct Params<'a> {
            #[serde(rename = "protocolVersion")]
            version: &'static str,
            capabilities: &'a Value,
            #[serde(rename = "clientInfo")]
            client: &'a ClientIdentity,
        }
        let about = Outgoing::new("initialize", context);
        let (client, capabilities) = (&self.settings.client, &self.capabilities);
        let params = |_| Params {
            version: offer.as_str(),
            capabilities,
            client,
        };
        let result = match self.exchange(about, false, params).await? {
            Answer::Result(result) => result,
            Answer::Refused(refusal) => {
                return match refusal.supported_versions() {
                    Some(speaks) => Ok(Initialized::Speaks(speaks)),
                    None => Err(self.refused(&refusal)),
                };
            }
            Answer::Lost(error) => return Err(error),
        };
        let said = Handshake::read(&result, self.channel.transport())?;
        let about = Outgoing::new("notifications/initialized", context);
        let message = encode_notification(about.method, &NoParams {})?;
        self.channel.send(message, about).await?;
        Ok(Initialized::Done(Negotiated {
            version: said.version,
            info: said.info,
            capabilities: said.capabilities,
        }))
    }
}

#[derive(Serialize)]
struct NoParams {}

impl Refusal {
    fn is_modern(&self) -> bool {
        [RpcError::HEADER_MISMATCH, RpcError::MISSING_CAPABILITY].contains(&self.code)
    }
}

fn other_version(wanted: ProtocolVersion, offered: ProtocolVersion) -> Error {
    Error::protocol(format!("the server speaks {offered} and not {wanted}"))
}
