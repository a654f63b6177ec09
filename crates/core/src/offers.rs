//! What servers offer besides tools: resources, prompts, completion, and what they say of themselves.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::fmt::Debug;

use rmcp::model::{
    CompleteRequestParams, CompleteResult, DiscoverResult, GetPromptResult, Prompt,
    ReadResourceResult, Resource, ResourceTemplate,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::wire::Malformed;
use crate::{BoxFuture, CallContext, Error, Limits};

/// A server that can be asked for more than tools, whatever lies between.
///
/// A transport brings [`ask`](Self::ask); the rest is that, typed. Every method acts for the
/// principal of its [`CallContext`] and ends with its deadline, or [`Limits::call_timeout`] where
/// there is none; dropping a future cancels the request. A method that the server does not know is
/// [`Failure::Rpc`](crate::Failure) with code -32601; so is one of a feature that a server before
/// 2026-07-28 did not offer in its handshake, and such a server is not asked (2025-11-25,
/// basic/lifecycle).
///
/// Lists are read over all pages, at most [`Limits::pages`] of them and [`Limits::tools`] items. An
/// item that cannot be read is left out and logged.
pub trait ServerOffers: Debug + Send + Sync {
    /// Asks for anything. `_meta` of `params` is kept and completed.
    ///
    /// # Errors
    /// When the server cannot be reached, refuses, breaks the protocol or passes a limit.
    fn ask<'a>(
        &'a self,
        method: &'a str,
        params: &'a Map<String, Value>,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<Box<RawValue>, Error>>;

    /// The bounds to keep.
    fn limits(&self) -> &Limits;

    /// `resources/list`.
    ///
    /// # Errors
    /// As [`ask`](Self::ask); a cursor that comes back is a broken protocol.
    fn list_resources<'a>(
        &'a self,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<Vec<Resource>, Error>> {
        Box::pin(pages(self, "resources/list", "resources", context))
    }

    /// `resources/templates/list`.
    ///
    /// # Errors
    /// As [`list_resources`](Self::list_resources).
    fn list_resource_templates<'a>(
        &'a self,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<Vec<ResourceTemplate>, Error>> {
        let (method, field) = ("resources/templates/list", "resourceTemplates");
        Box::pin(pages(self, method, field, context))
    }

    /// `resources/read`.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    fn read_resource<'a>(
        &'a self,
        uri: &'a str,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<ReadResourceResult, Error>> {
        Box::pin(async move {
            let params = Map::from_iter([("uri".to_owned(), uri.into())]);
            typed(&self.ask("resources/read", &params, context).await?)
        })
    }

    /// `prompts/list`.
    ///
    /// # Errors
    /// As [`list_resources`](Self::list_resources).
    fn list_prompts<'a>(
        &'a self,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<Vec<Prompt>, Error>> {
        Box::pin(pages(self, "prompts/list", "prompts", context))
    }

    /// `prompts/get`. Arguments of prompts are texts.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    fn get_prompt<'a>(
        &'a self,
        name: &'a str,
        arguments: &'a BTreeMap<String, String>,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<GetPromptResult, Error>> {
        Box::pin(async move {
            let mut params = Map::from_iter([("name".to_owned(), name.into())]);
            if !arguments.is_empty() {
                let texts = arguments.iter();
                let texts = texts.map(|(name, text)| (name.clone(), text.as_str().into()));
                params.insert("arguments".to_owned(), Value::Object(texts.collect()));
            }
            typed(&self.ask("prompts/get", &params, context).await?)
        })
    }

    /// `completion/complete`: what an argument of a prompt or a resource template may become.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    fn complete<'a>(
        &'a self,
        request: &'a CompleteRequestParams,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<CompleteResult, Error>> {
        Box::pin(async move {
            let params = match serde_json::to_value(request) {
                Ok(Value::Object(params)) => params,
                Ok(_) => Map::new(),
                Err(error) => {
                    let message = "a request cannot be written as JSON";
                    return Err(Error::config_because(message, error));
                }
            };
            typed(&self.ask("completion/complete", &params, context).await?)
        })
    }

    /// `server/discover`, which servers of 2026-07-28 and later know.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    fn discover<'a>(
        &'a self,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<DiscoverResult, Error>> {
        Box::pin(async move { typed(&self.ask("server/discover", &Map::new(), context).await?) })
    }
}

impl ServerOffers for crate::duplex::Duplex {
    fn ask<'a>(
        &'a self,
        method: &'a str,
        params: &'a Map<String, Value>,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<Box<RawValue>, Error>> {
        Box::pin(self.request(method, params, context))
    }

    fn limits(&self) -> &Limits {
        self.limits()
    }
}

fn typed<T: DeserializeOwned>(result: &RawValue) -> Result<T, Error> {
    serde_json::from_str(result.get())
        .map_err(|error| Error::protocol_because("the result is malformed", error))
}

async fn pages<S: ServerOffers + ?Sized, T: DeserializeOwned>(
    server: &S,
    method: &str,
    field: &'static str,
    context: &CallContext,
) -> Result<Vec<T>, Error> {
    let limits = server.limits();
    let listed = async {
        let mut items = Vec::new();
        let mut cursors = HashSet::new();
        let mut params = Map::new();
        for _ in 0..limits.pages {
            let page = server.ask(method, &params, context).await?;
            let Some(next) = add_page(&mut items, &page, field, limits)? else {
                return Ok(items);
            };
            params.insert("cursor".to_owned(), next.as_str().into());
            if !cursors.insert(next) {
                return Err(Error::protocol("a list repeats a page without end"));
            }
        }
        Err(Error::limit("pages", limits.pages, "pages of one list"))
    };
    let limit = limits.call_timeout;
    context.bound(limit, "reading a list", listed).await
}

/// Adds the items of a page; gives the cursor of the next one. An empty text is a cursor, too.
fn add_page<T: DeserializeOwned>(
    items: &mut Vec<T>,
    page: &RawValue,
    field: &'static str,
    limits: &Limits,
) -> Result<Option<String>, Error> {
    #[derive(Deserialize)]
    struct Cursor<'a> {
        #[serde(borrow, default, rename = "nextCursor")]
        next: Option<Cow<'a, str>>,
    }
    let malformed = |error| Error::protocol_because("a page is malformed", error);
    let mut fields: BTreeMap<Cow<'_, str>, &RawValue> =
        serde_json::from_str(page.get()).map_err(malformed)?;
    let listed = fields
        .remove(field)
        .ok_or_else(|| Error::protocol(format!("a page has no `{field}`")))?;
    let listed: Vec<&RawValue> = serde_json::from_str(listed.get()).map_err(malformed)?;
    for item in listed {
        if items.len() >= limits.tools {
            return Err(Error::limit("tools", limits.tools, "items of one list"));
        }
        match serde_json::from_str(item.get()) {
            Ok(item) => items.push(item),
            Err(error) => {
                let error = Malformed::from(&error);
                tracing::warn!(%error, field, "an item is left out");
            }
        }
    }
    let cursor: Cursor<'_> = serde_json::from_str(page.get()).map_err(malformed)?;
    Ok(cursor.next.map(Cow::into_owned))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use serde_json::json;
    use std::fmt::Write as _;
    use std::sync::{Arc, Mutex};
    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    /// Answers from a list of results, and keeps what it was asked.
    #[derive(Debug, Default)]
    struct Scripted {
        answers: Mutex<Vec<Value>>,
        asked: Mutex<Vec<(String, Value)>>,
        limits: Limits,
    }

    impl ServerOffers for Scripted {
        fn ask<'a>(
            &'a self,
            method: &'a str,
            params: &'a Map<String, Value>,
            _: &'a CallContext,
        ) -> BoxFuture<'a, Result<Box<RawValue>, Error>> {
            let asked = (method.to_owned(), Value::Object(params.clone()));
            self.asked.lock().unwrap().push(asked);
            let mut answers = self.answers.lock().unwrap();
            // The last one is given for ever.
            let answer = if answers.len() > 1 {
                answers.remove(0)
            } else {
                answers[0].clone()
            };
            Box::pin(async move { Ok(serde_json::value::to_raw_value(&answer).unwrap()) })
        }

        fn limits(&self) -> &Limits {
            &self.limits
        }
    }

    fn answering(answers: &[Value]) -> Scripted {
        Scripted {
            answers: Mutex::new(answers.to_vec()),
            ..Scripted::default()
        }
    }

    #[tokio::test]
    async fn all_pages_are_read_and_a_broken_item_loses_no_other() {
        let server = answering(&[
            json!({"resources": [{"uri": "a:1", "name": "one"}, {"uri": 5}], "nextCursor": ""}),
            json!({"resources": [{"uri": "a:2", "name": "two"}], "nextCursor": null}),
        ]);
        let server: &dyn ServerOffers = &server;
        let found = server
            .list_resources(&CallContext::default())
            .await
            .unwrap();
        let uris: Vec<_> = found.iter().map(|resource| resource.uri.as_str()).collect();
        assert_eq!(uris, ["a:1", "a:2"]);
    }

    /// All that is logged.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<String>>);

    impl Visit for Log {
        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            let mut log = self.0.lock().unwrap();
            let _ = write!(log, "{field}={value:?} ");
        }
    }

    impl Subscriber for Log {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, span: &Attributes<'_>) -> Id {
            span.record(&mut self.clone());
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, values: &Record<'_>) {
            values.record(&mut self.clone());
        }

        fn event(&self, event: &Event<'_>) {
            event.record(&mut self.clone());
        }

        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    #[tokio::test]
    async fn a2_what_stands_in_a_broken_item_is_not_logged() {
        let log = Log::default();
        let logging = tracing::subscriber::set_default(log.clone());
        let echo = "Bearer test-token-canary";
        let server =
            answering(&[json!({"resources": [{"uri": "a:1", "name": "x", "size": echo}]})]);
        let found = server.list_resources(&CallContext::default()).await;
        assert!(found.unwrap().is_empty());
        drop(logging);
        let logged = log.0.lock().unwrap();
        assert!(
            logged.contains("left out") && logged.contains("expected u"),
            "{logged}"
        );
        assert!(!logged.contains("canary"), "{logged}");
    }

    #[tokio::test]
    async fn lists_end() {
        let context = CallContext::default();
        let server = answering(&[json!({"prompts": [], "nextCursor": "same"})]);
        let error = server.list_prompts(&context).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert_eq!(server.asked.lock().unwrap().len(), 2);

        let many = vec![json!({"name": "p"}); 7];
        let mut server = answering(&[json!({"prompts": many})]);
        server.limits.tools = 6;
        let error = server.list_prompts(&context).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);

        let mut server = answering(&[
            json!({"resourceTemplates": [], "nextCursor": "1"}),
            json!({"resourceTemplates": [], "nextCursor": "2"}),
        ]);
        server.limits.pages = 2;
        let error = server.list_resource_templates(&context).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    }

    #[tokio::test]
    async fn single_results_are_typed() {
        let context = CallContext::default();
        let server = answering(&[json!({"contents": [{"uri": "a:1", "text": "hello"}]})]);
        let read = server.read_resource("a:1", &context).await.unwrap();
        assert_eq!(read.contents.len(), 1);
        let text = json!({"type": "text", "text": "hi"});
        let server = answering(&[json!({"messages": [{"role": "user", "content": text}]})]);
        let arguments = BTreeMap::from([("who".to_owned(), "you".to_owned())]);
        let prompt = server.get_prompt("p", &arguments, &context).await.unwrap();
        assert_eq!(prompt.messages.len(), 1);
        let asked = server.asked.lock().unwrap()[0].clone();
        let params = json!({"name": "p", "arguments": {"who": "you"}});
        assert_eq!(asked, ("prompts/get".to_owned(), params));

        let server = answering(&[json!({"completion": {"values": ["paris"]}})]);
        let (of, argument) = (
            rmcp::model::Reference::for_prompt("p"),
            rmcp::model::ArgumentInfo::new("city", "pa"),
        );
        let request = CompleteRequestParams::new(of, argument);
        let completed = server.complete(&request, &context).await.unwrap();
        assert_eq!(completed.completion.values, ["paris"]);
        let asked = server.asked.lock().unwrap()[0].clone();
        assert_eq!(asked.1["ref"], json!({"type": "ref/prompt", "name": "p"}));
        assert_eq!(asked.1["argument"], json!({"name": "city", "value": "pa"}));

        let said = json!({"resultType": "complete", "supportedVersions": ["2026-07-28"],
            "capabilities": {"tools": {}}, "ttlMs": 5, "cacheScope": "public"});
        let discovered = answering(&[said]).discover(&context).await.unwrap();
        assert!(discovered.capabilities.tools.is_some());
        let broken = answering(&[json!({"contents": 5})]);
        let error = broken.read_resource("a:1", &context).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
    }
}
