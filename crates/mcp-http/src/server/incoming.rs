//! What a server says besides the answer: progress, log lines, requests of its own.

use std::borrow::Cow;

use bytes::Bytes;
use http::{Method, header};
use mcp_core::duplex::{Asked, Offer, OpenRequest};
use mcp_core::wire::{Progress, clean};
use mcp_core::{CallContext, Error};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Inner;
use super::answer::Step;
use super::exchange::Exchange;
use super::fault::Fault;
use super::headers;
use super::reading::Reading;
use super::sent::Sent;
use super::session::SessionKey;

impl Inner {
    pub(super) fn notified(
        &self,
        reading: Reading<'_>,
        method: &str,
        params: Option<&RawValue>,
        sent: Sent<'_>,
    ) {
        match method {
            "notifications/progress" => progressed(reading, params, sent),
            "notifications/message" => self.logged(params, sent),
            "notifications/tools/list_changed" => self.tools_changed(),
            _ => tracing::trace!("a notification without a use here"),
        }
    }

    /// Notes that somebody's tools changed. A storm of notices is one change for who looks later.
    pub(super) fn tools_changed(&self) {
        self.tool_changes.send_modify(|count| *count += 1);
    }

    /// A log line of the server's, bounded and without what was sent to it.
    pub(super) fn logged(&self, params: Option<&RawValue>, sent: Sent<'_>) {
        #[derive(Deserialize)]
        struct Logged<'a> {
            #[serde(borrow, default)]
            level: Cow<'a, str>,
            #[serde(borrow, default)]
            logger: Option<Cow<'a, str>>,
            #[serde(borrow, default)]
            data: Option<&'a RawValue>,
        }
        if !tracing::enabled!(target: "mcp_http::server_log", tracing::Level::DEBUG) {
            return;
        }
        let Some(Ok(logged)) =
            params.map(|params| serde_json::from_str::<Logged<'_>>(params.get()))
        else {
            return;
        };
        let shown = |text: &str| clean(&sent.redact(text), self.limits.snippet_bytes);
        tracing::debug!(
            target: "mcp_http::server_log",
            server = self.id.as_str(),
            level = shown(&logged.level),
            logger = logged.logger.as_deref().map(shown),
            data = logged.data.map(|data| shown(data.get())),
        );
    }

    /// A request of the server's. In a stateless dialect it must not ask, and a client must not
    /// answer (2026-07-28, basic/patterns).
    pub(super) fn asked<T>(
        &self,
        reading: Reading<'_>,
        id: &RawValue,
        method: &str,
        params: Option<&RawValue>,
    ) -> Step<T> {
        if reading.session.is_none() {
            tracing::debug!("a request that must not be answered");
            return Step::Next;
        }
        self.asked_in_session(id, method, params)
    }

    /// What a request of the server's within a session leads to.
    pub(super) fn asked_in_session<T>(
        &self,
        id: &RawValue,
        method: &str,
        params: Option<&RawValue>,
    ) -> Step<T> {
        match self.offer().asked(id, method, params) {
            Asked::Answered(message) => Step::Respond(message),
            Asked::Open(request) => Step::Ask(request),
            _ => Step::Next,
        }
    }

    /// What a server may ask.
    pub(super) fn offer(&self) -> Offer<'_> {
        Offer::new(self.input.as_ref(), &self.capabilities)
    }

    /// Lets the handler answer the server's request.
    pub(super) async fn answer_question(&self, reading: Reading<'_>, request: OpenRequest) {
        if let Some(session) = reading.session {
            self.answer_question_in(session, request, reading.context)
                .await;
        }
    }

    /// Lets the handler answer a request of the server's within a session.
    pub(super) async fn answer_question_in(
        &self,
        session: &SessionKey,
        request: OpenRequest,
        context: &CallContext,
    ) {
        let answer = {
            let _loan = self.shares.lend(&context.principal);
            request.answer(context).await
        };
        match answer {
            Ok(body) => self.post_answer(session, body, context).await,
            Err(error) => tracing::debug!(%error, "a request of the server's is not answered"),
        }
    }

    /// Answers the server's request, where that takes no time, on a POST of its own.
    pub(super) async fn respond<T>(
        &self,
        reading: Reading<'_>,
        step: Step<T>,
    ) -> Result<(), Fault> {
        let Some(session) = reading.session else {
            return Ok(());
        };
        self.respond_in(session, step, reading.context).await
    }

    /// Answers a request of the server's within a session.
    pub(super) async fn respond_in<T>(
        &self,
        session: &SessionKey,
        step: Step<T>,
        context: &CallContext,
    ) -> Result<(), Fault> {
        let body = match step {
            Step::Answer(_) | Step::Next => return Ok(()),
            Step::Respond(body) => body,
            Step::Ask(request) => request.refusal()?,
        };
        self.post_answer(session, body, context).await;
        Ok(())
    }

    async fn post_answer(&self, session: &SessionKey, body: Vec<u8>, context: &CallContext) {
        let exchange = Exchange {
            body: Bytes::from(body),
            session: Some(session),
            ..Exchange::new(Method::POST, &self.url, context)
        };
        let sent = self
            .exchange(&exchange, |map| {
                map.insert(header::CONTENT_TYPE, headers::JSON.clone());
                map.insert(header::ACCEPT, headers::EITHER.clone());
                Ok(())
            })
            .await;
        match sent {
            Ok(answered) => drop(answered.response.beginning(1024).await),
            Err(fault) => {
                let error: Error = fault.into_error();
                tracing::debug!(%error, "a request of the server's could not be answered");
            }
        }
    }
}

fn progressed(reading: Reading<'_>, params: Option<&RawValue>, sent: Sent<'_>) {
    if !reading.context.wants_progress() {
        return;
    }
    let Some(told) = Progress::read(params).filter(|told| told.token == reading.id) else {
        return tracing::debug!("progress of no request");
    };
    reading.context.record_progress();
    let Some(handler) = &reading.context.progress else {
        return;
    };
    told.tell(|text| sent.redact(text), |update| handler.progress(update));
}
