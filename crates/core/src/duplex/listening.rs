//! Hearing of changed tools from servers that tell only who asks (2026-07-28,
//! basic/patterns/subscriptions).

use serde::Serialize;

use super::correlator::Answer;
use super::{Duplex, Outgoing};
use crate::wire::RequestMeta;
use crate::{CallContext, Error};

impl Duplex {
    /// Whether the server tells of changed tools, and only while somebody [listens](Self::listen).
    /// Before 2026-07-28 servers tell unasked.
    pub fn must_listen(&self) -> bool {
        self.negotiated.get().is_some_and(|found| {
            found.version.is_stateless() && found.capabilities.tells_tool_changes()
        })
    }

    /// Asks the server to tell when its tools change, which [`tool_changes`](Self::tool_changes)
    /// then counts, and waits until it does so no longer: minutes or days, without a deadline of
    /// its own. Dropping the future ends the subscription. For the transport, which asks again when
    /// this ends well; one at a time.
    ///
    /// It does not count among [`Limits::pending_requests`](crate::Limits).
    ///
    /// # Errors
    /// [`Failure::Rpc`](crate::Failure) when the server refuses; the reason why the connection is
    /// closed; cancellation and the deadline of the context.
    pub async fn listen(&self, context: &CallContext) -> Result<(), Error> {
        #[derive(Serialize)]
        struct Params<'a> {
            notifications: Wanted,
            #[serde(rename = "_meta")]
            meta: RequestMeta<'a>,
        }
        #[derive(Serialize)]
        struct Wanted {
            #[serde(rename = "toolsListChanged")]
            tools: bool,
        }
        let version = self.negotiated()?.version;
        let (client, capabilities) = (&self.settings.client, &self.capabilities);
        let about = Outgoing::new("subscriptions/listen", context);
        let waiter = self.correlator.register_subscription()?;
        let asked = self.send_and_wait(waiter, about, true, |_| Params {
            notifications: Wanted { tools: true },
            meta: RequestMeta::new(version, client, capabilities, None),
        });
        let listened = async {
            match asked.await? {
                Answer::Result(_) => Ok(()),
                Answer::Refused(refusal) => Err(self.refused(&refusal)),
                Answer::Lost(error) => Err(error),
            }
        };
        let limit = std::time::Duration::MAX;
        context
            .bound(limit, "listening for changes", listened)
            .await
    }
}
