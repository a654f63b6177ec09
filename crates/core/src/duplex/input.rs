//! What a server may ask of this client, and who answers: one rule for every transport.

use std::borrow::Cow;
use std::fmt::Debug;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::wire::{RpcError, encode_refusal, encode_result};
use crate::{BoxFuture, CallContext, Error};

/// JSON-RPC's code for a failure on the answering side.
const INTERNAL_ERROR: i64 = -32603;

/// Answers what a server asks back: a form for the user, a completion, the roots.
///
/// Asked in the middle of a call (2026-07-28), or at any time by servers of older versions.
pub trait InputHandler: Debug + Send + Sync {
    /// What is announced to the server (`ClientCapabilities`); it may ask for nothing else.
    fn capabilities(&self) -> Value;

    /// The bare result object for one request.
    ///
    /// # Errors
    /// Abandons the call with this error. A request that belongs to no call is refused without
    /// telling the server why.
    fn answer<'a>(
        &'a self,
        request: InputRequest<'a>,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<Box<RawValue>, Error>>;
}

/// What a client says that it can do (`ClientCapabilities`): what its handler says, and the extensions
/// of the protocol that it declares, with their settings. For transports.
pub fn declared(handler: Option<&dyn InputHandler>, extensions: &Map<String, Value>) -> Value {
    let mut capabilities = match handler {
        Some(handler) => handler.capabilities(),
        None => Value::Object(Map::new()),
    };
    if let Some(object) = capabilities.as_object_mut()
        && !extensions.is_empty()
    {
        let known = object.entry("extensions");
        let known = known.or_insert_with(|| Value::Object(Map::new()));
        if let Some(known) = known.as_object_mut() {
            known.extend(extensions.clone());
        }
    }
    capabilities
}

/// One thing that a server asks for.
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

/// Who answers a server, and what it was told that it may ask. For transports.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    handler: Option<&'a Arc<dyn InputHandler>>,
    capabilities: &'a Value,
}

/// What a request of the server's leads to.
#[derive(Debug)]
#[non_exhaustive]
pub enum Asked {
    /// The answer to send.
    Answered(Vec<u8>),
    /// A question for the handler.
    Open(OpenRequest),
    /// Nothing: it has no id that an answer could carry.
    Unanswerable,
}

/// A request of the server's that waits for the handler.
#[derive(Debug)]
pub struct OpenRequest {
    pub(super) id: Box<RawValue>,
    method: String,
    params: Option<Box<RawValue>>,
    handler: Arc<dyn InputHandler>,
}

/// Why a request is refused: the JSON-RPC code and its text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refused(i64, &'static str);

impl<'a> Offer<'a> {
    /// What is offered: the handler, and the capabilities that were announced.
    pub fn new(handler: Option<&'a Arc<dyn InputHandler>>, capabilities: &'a Value) -> Self {
        Self {
            handler,
            capabilities,
        }
    }

    /// What a request of the server's leads to, in a version in which servers send requests
    /// (2025-11-25 and before; client/elicitation, client/sampling, client/roots): `ping` is
    /// answered, what was not offered is refused with -32601, what was offered in another way
    /// (an undeclared mode) with -32602.
    pub fn asked(&self, id: &RawValue, method: &str, params: Option<&RawValue>) -> Asked {
        let answerable = id
            .get()
            .starts_with(|first: char| first == '"' || first == '-' || first.is_ascii_digit());
        if !answerable {
            return Asked::Unanswerable;
        }
        if method == "ping" {
            return encoded(encode_result(id, &Map::new()));
        }
        match self.handler_for(InputRequest::new(method, params)) {
            Ok(handler) => Asked::Open(OpenRequest {
                id: id.to_owned(),
                method: method.to_owned(),
                params: params.map(ToOwned::to_owned),
                handler: Arc::clone(handler),
            }),
            Err(Refused(code, message)) => encoded(encode_refusal(id, code, message)),
        }
    }

    /// The handler, if this was offered.
    pub(super) fn handler_for(
        &self,
        request: InputRequest<'_>,
    ) -> Result<&'a Arc<dyn InputHandler>, Refused> {
        const UNKNOWN: Refused = Refused(RpcError::METHOD_NOT_FOUND, "Method not found");
        let name = match request.method {
            "elicitation/create" => "elicitation",
            "sampling/createMessage" => "sampling",
            "roots/list" => "roots",
            _ => return Err(UNKNOWN),
        };
        let (Some(handler), Some(declared)) = (self.handler, self.capabilities.get(name)) else {
            return Err(UNKNOWN);
        };
        match name {
            "elicitation" => check_mode(request.params, declared)?,
            "sampling" => check_tools(request.params, declared)?,
            _ => {}
        }
        Ok(handler)
    }
}

/// Elicitation without a mode is a form, and a bare `elicitation: {}` offers forms only.
fn check_mode(params: Option<&RawValue>, declared: &Value) -> Result<(), Refused> {
    #[derive(Default, Deserialize)]
    struct Params<'a> {
        #[serde(borrow, default)]
        mode: Option<Cow<'a, str>>,
    }
    const UNDECLARED: Refused = Refused(
        RpcError::INVALID_PARAMS,
        "the elicitation mode was not declared",
    );
    let params: Params<'_> = read(params)?;
    let mode = params.mode.as_deref().unwrap_or("form");
    let bare = declared.get("form").is_none() && declared.get("url").is_none();
    if declared.get(mode).is_some() || (mode == "form" && bare) {
        Ok(())
    } else {
        Err(UNDECLARED)
    }
}

/// Sampling with tools needs a declaration of its own.
fn check_tools(params: Option<&RawValue>, declared: &Value) -> Result<(), Refused> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Params {
        #[serde(default)]
        tools: Option<serde::de::IgnoredAny>,
        #[serde(default)]
        tool_choice: Option<serde::de::IgnoredAny>,
    }
    const UNDECLARED: Refused = Refused(
        RpcError::INVALID_PARAMS,
        "sampling with tools was not declared",
    );
    let params: Params = read(params)?;
    let with_tools = params.tools.is_some() || params.tool_choice.is_some();
    if with_tools && declared.get("tools").is_none() {
        return Err(UNDECLARED);
    }
    Ok(())
}

fn read<'a, T: Default + Deserialize<'a>>(params: Option<&'a RawValue>) -> Result<T, Refused> {
    let Some(params) = params else {
        return Ok(T::default());
    };
    let malformed = Refused(RpcError::INVALID_PARAMS, "the parameters are malformed");
    // A derived reader takes an array for a struct as well.
    if !params.get().starts_with('{') {
        return Err(malformed);
    }
    serde_json::from_str(params.get()).map_err(|_| malformed)
}

fn encoded(message: Result<Vec<u8>, Error>) -> Asked {
    message.map_or(Asked::Unanswerable, Asked::Answered)
}

impl OpenRequest {
    /// What to send where it is not put to the handler: too much is open already.
    ///
    /// # Errors
    /// None that input can cause.
    pub fn refusal(&self) -> Result<Vec<u8>, Error> {
        refuse(&self.id, "too many requests at once")
    }

    /// The answer to send. Why a handler did not answer is for this side to know.
    ///
    /// # Errors
    /// None that input can cause.
    pub async fn answer(&self, context: &CallContext) -> Result<Vec<u8>, Error> {
        let request = InputRequest::new(&self.method, self.params.as_deref());
        match self.handler.answer(request, context).await {
            Ok(result) => encode_result(&self.id, &result),
            Err(error) => {
                tracing::debug!(%error, "a request of the server's was not answered");
                refuse(&self.id, "not answered")
            }
        }
    }
}

/// The refusal of a request that could have been answered.
pub(super) fn refuse(id: &RawValue, why: &str) -> Result<Vec<u8>, Error> {
    encode_refusal(id, INTERNAL_ERROR, why)
}
