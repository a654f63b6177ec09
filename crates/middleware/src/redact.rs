//! Take out of results what must not be seen.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use mcp_adapter::{Middleware, ToolInvocation};
use mcp_core::auth::{ExposeSecret, MaybeReady, SecretString};
use mcp_core::{Error, ToolOutput};
use serde_json::Value;
use serde_json::value::to_raw_value;

/// What stands in the place of what was taken out.
const REDACTED: &str = "[redacted]";

/// Rewrites the texts of results: every string of the content, of the structured content and of
/// `_meta`, keys of objects excepted. A result in which nothing changes stays byte for byte what the
/// server sent.
///
/// ```
/// use mcp_middleware::Redact;
///
/// let redact = Redact::values(["test-token-alice".to_owned()]);
/// ```
#[derive(Clone)]
pub struct Redact(Arc<Rewrite>);

type Rewrite = dyn for<'t> Fn(&'t str) -> Cow<'t, str> + Send + Sync;

impl Redact {
    /// Replaces each of these values by `[redacted]`. Empty ones are passed over.
    pub fn values(secrets: impl IntoIterator<Item = impl Into<SecretString>>) -> Self {
        let secrets: Vec<SecretString> = secrets.into_iter().map(Into::into).collect();
        Self::with(move |text| {
            let mut text = Cow::Borrowed(text);
            for secret in &secrets {
                let secret = secret.expose_secret();
                if !secret.is_empty() && text.contains(secret) {
                    text = Cow::Owned(text.replace(secret, REDACTED));
                }
            }
            text
        })
    }

    /// Rewrites each text by a closure; `Cow::Borrowed` leaves it as it is.
    pub fn with(rewrite: impl for<'t> Fn(&'t str) -> Cow<'t, str> + Send + Sync + 'static) -> Self {
        Self(Arc::new(rewrite))
    }

    fn rewritten(&self, output: &ToolOutput) -> Result<Option<ToolOutput>, Error> {
        let mut result: Value = serde_json::from_str(output.raw())
            .map_err(|error| Error::protocol_because("the result cannot be read", error))?;
        if !self.rewrite(&mut result) {
            return Ok(None);
        }
        let raw = to_raw_value(&result)
            .map_err(|error| Error::protocol_because("the result cannot be written", error))?;
        ToolOutput::parse(&raw).map(Some)
    }

    /// Whether anything changed. Depth is bounded by the parser that made the value.
    fn rewrite(&self, value: &mut Value) -> bool {
        match value {
            Value::String(text) => match (self.0)(text) {
                Cow::Owned(changed) => {
                    *text = changed;
                    true
                }
                Cow::Borrowed(_) => false,
            },
            Value::Array(items) => {
                let changed = |any, item| self.rewrite(item) | any;
                items.iter_mut().fold(false, changed)
            }
            Value::Object(object) => {
                let changed = |any, item| self.rewrite(item) | any;
                object.values_mut().fold(false, changed)
            }
            _ => false,
        }
    }
}

impl Middleware for Redact {
    /// A result that cannot be looked through is not let through.
    fn after_tool_call<'a>(
        &'a self,
        _call: &'a ToolInvocation<'_>,
        outcome: &'a mut Result<ToolOutput, Error>,
    ) -> MaybeReady<'a, ()> {
        if let Ok(output) = outcome {
            match self.rewritten(output) {
                Ok(None) => {}
                Ok(Some(clean)) => *outcome = Ok(clean),
                Err(error) => *outcome = Err(error),
            }
        }
        MaybeReady::ready(())
    }
}

impl fmt::Debug for Redact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redact")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{Answer, Scripted};

    fn output(raw: &str) -> ToolOutput {
        ToolOutput::parse(serde_json::from_str(raw).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn every_text_is_looked_through() {
        let dirty = output(
            r#"{"content":[{"type":"text","text":"it is \u0063anary-secret!"}],
            "structuredContent":{"deep":[{"x":"canary-secret"}]},"_meta":{"m":"canary-secret"},
            "isError":true}"#,
        );
        let clean = r#"{"content":[{"type":"text","text":"fine"}],"big":12345678901234567890123}"#;
        let server = Scripted::new("s", [Answer::Ok(dirty), Answer::Ok(output(clean))]);
        let redact = Redact::values(["canary-secret".to_owned(), String::new()]);
        assert!(!format!("{redact:?}").contains("canary"));
        let tool = server.tool(&json!({})).with_middleware(redact);
        let seen = tool.call(()).await.unwrap();
        assert!(!seen.raw().contains("canary"), "{}", seen.raw());
        assert_eq!(seen.text(), "it is [redacted]!");
        assert!(seen.is_error());
        assert_eq!(tool.call(()).await.unwrap().raw(), clean);
    }
}
