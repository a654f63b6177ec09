//! What hostile or broken authorization servers do, and what must hold (the list of threats, B and E).
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test's panic is its report")]

mod bound;
mod callbacks;
mod discovery;
mod dropped;
mod grants;
mod kept;
mod secrets;
mod tokens;

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use mcp_auth::testing::ManualClock;
use mcp_core::auth::{
    CredentialError, CredentialErrorKind, CredentialProvider, CredentialRequest, MemoryStore,
    Principal, SecretRef, ServerId, SharedStore,
};
use mcp_core::{
    BoxFuture, CallContext, Error, ErrorKind, Failure, ProtocolVersion, ToolCall, ToolServer,
};
use mcp_http::{HttpClient, HttpRequest, HttpServer, HttpUrl};
use mcp_oauth::{
    AuthorizationHandler, AuthorizationPrompt, AuthorizationRequest, Dpop, Enterprise, Grant,
    OAuth, OAuthBuilder, OAuthError, TokenExchange,
};
use mcp_testbed::oauth::{AuthServer, Reply};
use mcp_testbed::shown;
use serde_json::{Map, json};

const REDIRECT: &str = "http://127.0.0.1:4711/callback";
const PATIENCE: Duration = Duration::from_secs(10);

fn alice() -> Principal {
    Principal::new("alice").unwrap()
}

fn id() -> ServerId {
    ServerId::new("resource").unwrap()
}

fn oauth(server: &AuthServer) -> OAuthBuilder {
    OAuth::builder(id(), HttpUrl::parse(&server.url()).unwrap()).redirect_uri(REDIRECT)
}

fn resource(server: &AuthServer, oauth: &OAuth) -> HttpServer {
    HttpServer::builder(server.url())
        .id(id())
        .protocol(Some(ProtocolVersion::V2026_07_28))
        .credentials(Arc::new(oauth.clone()))
        .build()
        .unwrap()
}

/// Lists the tools and calls the one.
async fn call(server: &HttpServer, user: &Principal) -> Result<(), Error> {
    let context = CallContext::new(user.clone()).with_timeout(PATIENCE);
    let listing = server.list_tools(&context).await?;
    let arguments = Map::new();
    let call = ToolCall::new(&listing.tools[0], &arguments);
    server.call_tool(call, &context).await.map(|_| ())
}

/// Where the authorization endpoint sends the user.
async fn consent(url: &str) -> String {
    let url = HttpUrl::parse(url).unwrap();
    let response = HttpClient::new()
        .send(HttpRequest::get(&url))
        .await
        .unwrap();
    response.header(&http::header::LOCATION).unwrap().to_owned()
}

/// A user who always says yes.
#[derive(Debug)]
struct Yes;

impl AuthorizationHandler for Yes {
    fn authorize<'a>(
        &'a self,
        prompt: &'a AuthorizationPrompt,
    ) -> BoxFuture<'a, Result<String, CredentialError>> {
        Box::pin(async { Ok(consent(&prompt.authorize_url).await) })
    }
}
