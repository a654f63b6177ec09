//! Headers that a command prints.

use std::sync::Arc;

use secrecy::ExposeSecret;
use serde_json::{Map, Value};

use crate::command_token::wipe;
use crate::refresh::{Engine, Fetch, FetchContext, FetchFuture, Fetched, Life};
use crate::secret::{CommandLine, SecretScope, run};
use crate::{
    CredentialError, CredentialProvider, CredentialRequest, Credentials, MaybeReady, Recovery,
    Rejection,
};

/// Headers out of the JSON object (names to strings) that a command prints. It runs at the first
/// call, and again when a server answers 401.
///
/// No shell looks at the command. It has 30 seconds and may print 64 KiB.
///
/// ```
/// let provider = mcp_auth::HeadersHelper::new("corp-headers", ["--server", "github"]);
/// ```
#[derive(Debug)]
pub struct HeadersHelper {
    helper: Arc<Helper>,
    engine: Engine,
}

impl HeadersHelper {
    /// Runs this program with these arguments, which every user of the machine can see.
    pub fn new<A: Into<String>>(
        program: impl Into<String>,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        let helper = Arc::new(Helper {
            line: CommandLine::new(program, arguments),
            scope: SecretScope::new(),
        });
        Self {
            engine: Engine::new(Arc::<Helper>::clone(&helper)),
            helper,
        }
    }

    /// Runs the command in these surroundings.
    pub fn scope(mut self, scope: SecretScope) -> Self {
        Arc::make_mut(&mut self.helper).scope = scope;
        self.engine.set_fetch(Arc::<Helper>::clone(&self.helper));
        self
    }
}

impl CredentialProvider for HeadersHelper {
    fn credentials<'a>(
        &'a self,
        _: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<Credentials, CredentialError>> {
        self.engine.credentials()
    }

    fn rejected<'a>(
        &'a self,
        rejection: Rejection<'a>,
    ) -> MaybeReady<'a, Result<Recovery, CredentialError>> {
        self.engine.rejected(rejection)
    }
}

#[derive(Clone, Debug)]
struct Helper {
    line: CommandLine,
    scope: SecretScope,
}

impl Helper {
    fn wrong(&self, what: &str) -> CredentialError {
        CredentialError::misconfigured(format!("{} printed {what}", self.line))
    }

    fn credentials(&self, headers: Map<String, Value>) -> Result<Credentials, CredentialError> {
        let mut builder = Credentials::builder();
        for (name, value) in headers {
            let Value::String(value) = value else {
                wipe(value);
                return Err(self.wrong("a header whose value is not a string"));
            };
            builder = builder.header(&name, value)?;
        }
        Ok(builder.build()?)
    }
}

impl Fetch for Helper {
    fn fetch(&self, _: FetchContext) -> FetchFuture<'_> {
        Box::pin(async {
            let printed = run(&self.line, &self.scope).await?;
            let headers = serde_json::from_str(printed.expose_secret())
                .map_err(|_| self.wrong("no JSON object of headers"))?;
            Ok(Fetched {
                credentials: self.credentials(headers)?,
                life: Life::ENDLESS,
                adopted: false,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::{Principal, ServerId};

    #[tokio::test]
    async fn the_command_runs_again_after_a_401() {
        let directory = tempfile::tempdir().unwrap();
        let script = "echo x >> runs; echo \"{\\\"X-Key\\\":\\\"test-key-$(wc -l < runs)\\\"}\"";
        let provider = HeadersHelper::new("sh", ["-c", script])
            .scope(SecretScope::new().with_directory(directory.path()));
        let (server, alice) = (ServerId::new("s").unwrap(), Principal::local());
        let request = CredentialRequest::new(&server, &alice);
        let first = provider.credentials(request).await.unwrap();
        assert_eq!(first, provider.credentials(request).await.unwrap());
        let rejection = Rejection::new(request, &first, StatusCode::UNAUTHORIZED);
        assert_eq!(provider.rejected(rejection).await.unwrap(), Recovery::Retry);
        let second = provider.credentials(request).await.unwrap();
        assert_ne!(first, second);
        assert_eq!(second.headers()[0].1, "test-key-2");
    }

    #[tokio::test]
    async fn nonsense_is_refused_unseen() {
        for printed in [
            "canary",
            "[\"canary\"]",
            "{\"X\":[\"canary\"]}",
            "{\"X\":\"can\\nary\"}",
        ] {
            let provider = HeadersHelper::new("printf", ["%s", printed]);
            let (server, alice) = (ServerId::new("s").unwrap(), Principal::local());
            let request = CredentialRequest::new(&server, &alice);
            let error = provider.credentials(request).await.unwrap_err();
            assert!(
                !format!("{error} {error:?}").contains("canary"),
                "{error:?}"
            );
        }
    }
}
