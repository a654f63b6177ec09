//! What a tool may ask back in the middle of a call (2026-07-28, basic/patterns/mrtr).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Debug;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::Duplex;
use crate::wire::RequestMeta;
use crate::{BoxFuture, CallContext, Error};

/// Answers what a tool asks back: a form for the user, a completion, the roots.
pub trait InputHandler: Debug + Send + Sync {
    /// What is announced to the server (`ClientCapabilities`); it may ask for nothing else.
    fn capabilities(&self) -> Value;

    /// The bare result object for one request.
    ///
    /// # Errors
    /// Abandons the call with this error.
    fn answer<'a>(
        &'a self,
        request: InputRequest<'a>,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<Box<RawValue>, Error>>;
}

/// One thing that a tool asks for.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct InputRequest<'a> {
    /// `elicitation/create`, `sampling/createMessage` or `roots/list`.
    pub method: &'a str,
    /// Its parameters.
    pub params: Option<&'a RawValue>,
}

impl<'a> InputRequest<'a> {
    /// A request for input, for transports.
    pub fn new(method: &'a str, params: Option<&'a RawValue>) -> Self {
        Self { method, params }
    }
}

/// The parameters of `tools/call`, and of its repetition with what the server asked for.
#[derive(Debug, Serialize)]
pub(super) struct CallWithInput<'a> {
    pub(super) name: &'a str,
    pub(super) arguments: &'a Map<String, Value>,
    #[serde(rename = "inputResponses", skip_serializing_if = "Option::is_none")]
    pub(super) responses: Option<&'a BTreeMap<String, Box<RawValue>>>,
    /// Sent back byte for byte.
    #[serde(rename = "requestState", skip_serializing_if = "Option::is_none")]
    pub(super) state: Option<&'a RawValue>,
    #[serde(rename = "_meta", skip_serializing_if = "RequestMeta::is_empty")]
    pub(super) meta: RequestMeta<'a>,
}

/// What the server needs before it goes on.
#[derive(Debug, Default)]
pub(super) struct Input {
    pub(super) responses: Option<BTreeMap<String, Box<RawValue>>>,
    pub(super) state: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Wanted<'a> {
    #[serde(borrow, default, rename = "resultType")]
    result_type: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "inputRequests")]
    requests: Option<BTreeMap<String, Asked<'a>>>,
    #[serde(borrow, default, rename = "requestState")]
    state: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Asked<'a> {
    #[serde(borrow)]
    method: Cow<'a, str>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
}

impl Duplex {
    /// What the result asks for, answered; `None` when it is complete.
    pub(super) async fn input(
        &self,
        result: &RawValue,
        context: &CallContext,
    ) -> Result<Option<Input>, Error> {
        let wanted: Wanted<'_> = serde_json::from_str(result.get())
            .map_err(|error| Error::protocol_because("the result is not a tool result", error))?;
        match wanted.result_type.as_deref() {
            None | Some("complete") => return Ok(None),
            Some("input_required") => {}
            Some(_) => {
                return Err(Error::protocol(
                    "the result is of a type that was not offered",
                ));
            }
        }
        if wanted.requests.is_none() && wanted.state.is_none() {
            return Err(Error::protocol(
                "the tool asks for input and does not say which",
            ));
        }
        let mut responses = wanted.requests.as_ref().map(|_| BTreeMap::new());
        for (key, asked) in wanted.requests.into_iter().flatten() {
            let Some(handler) = &self.settings.input else {
                let method = crate::wire::clean(&asked.method, 64);
                return Err(Error::protocol(format!(
                    "the tool asks for input (`{method}`) that this client did not offer"
                )));
            };
            let request = InputRequest {
                method: &asked.method,
                params: asked.params,
            };
            let answer = handler.answer(request, context).await?;
            if let Some(responses) = &mut responses {
                responses.insert(key, answer);
            }
        }
        Ok(Some(Input {
            responses,
            state: wanted.state.map(ToOwned::to_owned),
        }))
    }
}
