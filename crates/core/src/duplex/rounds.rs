//! Rounds of input in the middle of a call (2026-07-28, basic/patterns/mrtr).

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::input::{InputRequest, Offer};
use crate::wire::{RequestMeta, clean};
use crate::{CallContext, Error};

/// The parameters of `tools/call`, and of its repetition with what the server asked for.
#[derive(Debug, Serialize)]
pub(super) struct CallWithInput<'a> {
    pub(super) name: &'a str,
    pub(super) arguments: &'a Map<String, Value>,
    #[serde(rename = "inputResponses", skip_serializing_if = "Option::is_none")]
    pub(super) responses: Option<&'a BTreeMap<String, Box<RawValue>>>,
    #[serde(rename = "requestState", skip_serializing_if = "Option::is_none")]
    pub(super) state: Option<&'a RawValue>,
    #[serde(rename = "_meta", skip_serializing_if = "RequestMeta::is_empty")]
    pub(super) meta: RequestMeta<'a>,
}

/// What a server asked for in the middle of a call, answered. For transports.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Input {
    /// By the server's keys; `None` when it only asks to be asked again.
    pub responses: Option<BTreeMap<String, Box<RawValue>>>,
    /// Sent back byte for byte.
    pub state: Option<Box<RawValue>>,
}

impl Input {
    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.responses.is_none() && self.state.is_none()
    }
}

/// Whether a result says that the server needs input before it goes on. For transports.
///
/// # Errors
/// [`Failure::Protocol`](crate::Failure) when it is not an object, or of a type that was not
/// offered.
pub fn needs_input(result: &RawValue) -> Result<bool, Error> {
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(borrow, default, rename = "resultType")]
        result_type: Option<Cow<'a, str>>,
    }
    if !result.get().starts_with('{') {
        return Err(Error::protocol("the result is not an object"));
    }
    let head: Head<'_> = serde_json::from_str(result.get())
        .map_err(|error| Error::protocol_because("the result is malformed", error))?;
    match head.result_type.as_deref() {
        None | Some("complete") => Ok(false),
        Some("input_required") => Ok(true),
        Some(_) => Err(Error::protocol(
            "the result is of a type that was not offered",
        )),
    }
}

impl Offer<'_> {
    /// What a result that [`needs_input`] asks for, answered.
    ///
    /// # Errors
    /// [`Failure::Protocol`](crate::Failure) when it asks for nothing, or for what was not offered;
    /// the handler's own error.
    pub async fn input(&self, result: &RawValue, context: &CallContext) -> Result<Input, Error> {
        #[derive(Deserialize)]
        struct Wanted<'a> {
            #[serde(borrow, default, rename = "inputRequests")]
            requests: Option<BTreeMap<String, Requested<'a>>>,
            #[serde(borrow, default, rename = "requestState")]
            state: Option<&'a RawValue>,
        }
        #[derive(Deserialize)]
        struct Requested<'a> {
            #[serde(borrow)]
            method: Cow<'a, str>,
            #[serde(borrow, default)]
            params: Option<&'a RawValue>,
        }
        let wanted: Wanted<'_> = serde_json::from_str(result.get())
            .map_err(|error| Error::protocol_because("a request for input is malformed", error))?;
        if wanted.requests.is_none() && wanted.state.is_none() {
            return Err(Error::protocol(
                "the tool asks for input and does not say which",
            ));
        }
        let mut responses = wanted.requests.as_ref().map(|_| BTreeMap::new());
        for (key, requested) in wanted.requests.into_iter().flatten() {
            let request = InputRequest::new(&requested.method, requested.params);
            let Ok(handler) = self.handler_for(request) else {
                let method = clean(&requested.method, 64);
                return Err(Error::protocol(format!(
                    "the tool asks for input (`{method}`) that this client did not offer"
                )));
            };
            let answer = handler.answer(request, context).await?;
            if let Some(responses) = &mut responses {
                responses.insert(key, answer);
            }
        }
        Ok(Input {
            responses,
            state: wanted.state.map(ToOwned::to_owned),
        })
    }
}
