//! Hearing of changed tools from servers that tell only who asks (2026-07-28,
//! basic/patterns/subscriptions).

use std::sync::Weak;
use std::time::Duration;

use http::Method;
use mcp_core::auth::Principal;
use mcp_core::auth::time::Instant;
use mcp_core::duplex::Input;
use mcp_core::wire::{Message, RequestMeta};
use mcp_core::{CallContext, ErrorKind, Failure, ProtocolVersion};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tokio_util::task::AbortOnDropHandle;

use super::Inner;
use super::exchange::{Answered, Exchange};
use super::fault::Fault;
use super::rpc::Rpc;
use super::sent::Sent;
use super::stateless::stateless_headers;
use crate::sse::SseDecoder;

/// The pause before a server is asked again; it doubles while that does not last.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How often in a row a server is asked without taking it on. The next listing asks again.
const TRIES: u32 = 16;

/// How long a stream is listened to before it is opened anew: a connection that died without a word
/// is not taken for a quiet server for ever, and credentials are shown again.
const LIFETIME: Duration = Duration::from_secs(60 * 60);

/// One principal's wish to hear of changed tools. Dropping it ends its task and its stream.
#[derive(Debug)]
pub(crate) struct Subscription(AbortOnDropHandle<()>);

/// Why nothing is heard any more.
enum End {
    /// The server will not tell: asking again is of no use.
    Refused(String),
    /// It may tell when it is asked again.
    Over { acknowledged: bool },
}

impl Inner {
    /// Asks the server to tell when the principal's tools change, if somebody wants to know, unless
    /// it was asked already. Waits for nothing.
    pub(super) async fn subscribe(&self, version: ProtocolVersion, context: &CallContext) {
        if !self.subscribes && self.tool_changes.receiver_count() == 0 {
            return;
        }
        let principal = &context.principal;
        let begin = || async {
            let listening = listen(Weak::clone(&self.this), version, principal.clone());
            Ok(Subscription(AbortOnDropHandle::new(tokio::spawn(
                listening,
            ))))
        };
        let is_alive = |known: &std::sync::Arc<Subscription>| !known.0.is_finished();
        let subscribed = self.subscriptions.usable(principal, is_alive, begin);
        if let Err(fault) = subscribed.await {
            tracing::debug!(error = %fault.into_error(), "changed tools are not told");
        }
    }

    async fn open_subscription(
        &self,
        version: ProtocolVersion,
        context: &CallContext,
    ) -> Result<(u64, Answered), End> {
        let id = self.next_id();
        let fields = Map::from_iter([(
            "notifications".to_owned(),
            json!({"toolsListChanged": true}),
        )]);
        let rpc = Rpc::object("subscriptions/listen", &fields);
        let meta = RequestMeta::new(version, &self.client_identity, &self.capabilities, None);
        let refused = |error: &mcp_core::Error| End::Refused(error.to_string());
        let body = rpc
            .encode(id, &Input::default(), meta, None)
            .map_err(|error| refused(&error))?;
        let exchange = Exchange {
            body,
            repeatable: true,
            ..Exchange::new(Method::POST, &self.url, context)
        };
        let mut fault = None;
        let opening = async {
            let opened = self
                .exchange(&exchange, |map| stateless_headers(map, version, &rpc))
                .await;
            let opened = match opened {
                Ok(answered) if answered.response.status().is_success() => Ok(answered),
                Ok(Answered { response, sent }) => {
                    let sent = Sent {
                        credentials: &sent,
                        session: None,
                        url: &self.url,
                    };
                    Err(self.refused(id, response, sent).await)
                }
                Err(fault) => Err(fault),
            };
            Ok(opened.map_err(|failed| fault = Some(failed)).ok())
        };
        let limit = self.limits.startup_timeout;
        let opened = context.bound(limit, "asking for changes", opening).await;
        match (opened, fault) {
            (Ok(Some(answered)), _) => Ok((id, answered)),
            (_, Some(fault)) => Err(end_of(&fault)),
            _ => Err(End::Over {
                acknowledged: false,
            }),
        }
    }
}

/// What a failed opening means.
fn end_of(fault: &Fault) -> End {
    let error = fault.error();
    let may_pass = match (fault, error.failure()) {
        (Fault::Refused(_), _) => false,
        (_, Failure::HttpStatus { status, .. }) => *status == 429 || *status >= 500,
        _ => matches!(
            error.kind(),
            ErrorKind::Connect | ErrorKind::Timeout | ErrorKind::CredentialUnavailable
        ),
    };
    if may_pass {
        return End::Over {
            acknowledged: false,
        };
    }
    End::Refused(error.to_string())
}

/// Asks, hears, and asks again when that ends, until the server refuses or its handle is gone.
async fn listen(server: Weak<Inner>, version: ProtocolVersion, principal: Principal) {
    let context = CallContext::new(principal);
    let mut pause = FIRST_PAUSE;
    let (mut failures, mut again) = (0, false);
    loop {
        let began = Instant::now();
        let opened = match server.upgrade() {
            Some(server) => server.open_subscription(version, &context).await,
            None => return,
        };
        let end = match opened {
            Ok((id, answered)) => hear(&server, id, answered, again).await,
            Err(end) => end,
        };
        match end {
            End::Refused(why) => return tracing::debug!(why, "changed tools are not told"),
            End::Over { acknowledged: true } => (failures, again) = (0, true),
            End::Over { .. } => failures += 1,
        }
        if failures >= TRIES {
            return tracing::debug!("changed tools are told no longer");
        }
        if began.elapsed() > LONGEST_PAUSE {
            pause = FIRST_PAUSE;
        }
        // Everybody lost a server that restarts at the same moment.
        tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
        pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
    }
}

/// Hears what comes until the stream ends. `again`: what changed while nobody listened was missed,
/// so that being heard again counts as a change.
async fn hear(server: &Weak<Inner>, id: u64, answered: Answered, again: bool) -> End {
    let mut response = answered.response;
    let (limit, patience) = match server.upgrade() {
        Some(server) => (server.limits.message_bytes, server.limits.startup_timeout),
        None => return End::Refused("the server's handle is gone".to_owned()),
    };
    let mut heard = Heard {
        id,
        acknowledged: false,
        again,
    };
    if !response.is("text/event-stream") {
        // One message: an error, or the end at once.
        let body = tokio::time::timeout(patience, response.bytes(limit)).await;
        let Ok(body) = body.map(Result::unwrap_or_default) else {
            return End::Over {
                acknowledged: false,
            };
        };
        return match server.upgrade().and_then(|it| heard.message(&it, &body)) {
            Some(end) => end,
            None => End::Refused("the answer is no event stream".to_owned()),
        };
    }
    let mut decoder = SseDecoder::new(limit);
    let mut refused = None;
    let hearing = async {
        while let Ok(Some(chunk)) = response.chunk().await {
            let Some(server) = server.upgrade() else {
                return;
            };
            let mut rest: &[u8] = &chunk;
            loop {
                let event = match decoder.read(&mut rest) {
                    Ok(Some(event)) => event,
                    Ok(None) => break,
                    Err(error) => return tracing::debug!(%error, "a stream is given up"),
                };
                if let Some(end) = heard.message(&server, event.data) {
                    refused = Some(end);
                    return;
                }
            }
        }
    };
    let _ = tokio::time::timeout(LIFETIME, hearing).await;
    refused.unwrap_or(End::Over {
        acknowledged: heard.acknowledged,
    })
}

/// What was heard on one stream.
struct Heard {
    id: u64,
    acknowledged: bool,
    again: bool,
}

impl Heard {
    /// Takes a message; `Some` when it was the last one.
    fn message(&mut self, server: &Inner, text: &[u8]) -> Option<End> {
        match Message::parse(text) {
            Ok(Message::Notification { method, params }) => {
                match (&*method, params) {
                    ("notifications/subscriptions/acknowledged", Some(params)) => {
                        return self.accepted(server, params);
                    }
                    ("notifications/tools/list_changed", params) if self.is_ours(params) => {
                        server.tools_changed();
                    }
                    _ => {}
                }
                None
            }
            Ok(Message::Response {
                id: Some(id),
                outcome,
            }) if id == self.id => Some(match outcome {
                Ok(_) => End::Over {
                    acknowledged: self.acknowledged,
                },
                Err(refusal) => End::Refused(format!("the server answered {}", refusal.code)),
            }),
            _ => None,
        }
    }

    fn accepted(&mut self, server: &Inner, params: &RawValue) -> Option<End> {
        let accepted: Value = serde_json::from_str(params.get()).unwrap_or_default();
        if accepted["notifications"]["toolsListChanged"] != true {
            // It took on less than was asked for, which was this one thing.
            return Some(End::Refused("the server does not tell of tools".to_owned()));
        }
        self.acknowledged = true;
        if std::mem::take(&mut self.again) {
            server.tools_changed();
        }
        None
    }

    /// Whether a notification belongs to this subscription, or does not say.
    fn is_ours(&self, params: Option<&RawValue>) -> bool {
        #[derive(Deserialize)]
        struct Params {
            #[serde(default, rename = "_meta")]
            meta: Meta,
        }
        #[derive(Default, Deserialize)]
        struct Meta {
            #[serde(default, rename = "io.modelcontextprotocol/subscriptionId")]
            subscription: Option<Value>,
        }
        let named = params
            .and_then(|params| serde_json::from_str::<Params>(params.get()).ok())
            .and_then(|params| params.meta.subscription);
        named.is_none_or(|named| named == self.id)
    }
}
