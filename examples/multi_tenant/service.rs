//! The HTTP in front of the toolkit: each request acts for the principal that its key names.

use std::io;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequestParts, Path, RawQuery, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{StatusCode, request};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use mcp_toolkit::{Error, ErrorKind, LogoutError, Principal, ServerTools};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use crate::platform::{CALLBACK, Platform};

/// Serves until it is told to stop: requests under way are answered, sessions ended.
pub(crate) async fn serve(
    listener: TcpListener,
    platform: Platform,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let toolkit = platform.toolkit.clone();
    let router = Router::new()
        .route("/healthz", get(async || "ok"))
        .route("/tools", get(tools))
        .route("/call/{tool}", post(call))
        .route("/logout/{server}", post(logout))
        .route("/callback", get(callback))
        .with_state(platform);
    let serving = axum::serve(listener, router);
    let served = serving.with_graceful_shutdown(stop).await;
    toolkit.shutdown(Duration::from_secs(5)).await;
    served
}

/// What the caller has, server by server: one that is down is no reason to have nothing.
async fn tools(State(platform): State<Platform>, Caller(principal): Caller) -> Json<Value> {
    let has = platform.toolkit.tools_for(&principal).await;
    let tools = has.tools().iter().map(|tool| {
        json!({ "name": tool.name(), "description": tool.description(),
            "parameters": tool.input_schema_value() })
    });
    let servers = has.servers().map(|(name, outcome)| {
        let state = match outcome {
            ServerTools::Active(_) => json!("active"),
            ServerTools::NeedsAuthorization(required) => json!({ "login": required.authorize_url }),
            ServerTools::Failed(error) => json!({ "failed": error.kind().as_str() }),
            _ => Value::Null,
        };
        (name.to_string(), state)
    });
    let (tools, servers): (Value, Map<_, _>) = (tools.collect(), servers.collect());
    Json(json!({ "tools": tools, "servers": servers }))
}

async fn call(
    State(platform): State<Platform>,
    Caller(principal): Caller,
    Path(tool): Path<String>,
    arguments: Bytes,
) -> Result<Json<Value>, Problem> {
    let arguments: Value = match &*arguments {
        [] => json!({}),
        text => serde_json::from_slice(text)
            .map_err(|error| Problem(StatusCode::BAD_REQUEST, error.to_string()))?,
    };
    let tools = platform.toolkit.tools_for(&principal).await;
    let output = tools.tools().get(&tool)?.call(arguments).await?;
    Ok(Json(
        json!({ "text": output.text(), "is_error": output.is_error() }),
    ))
}

async fn logout(
    State(platform): State<Platform>,
    Caller(principal): Caller,
    Path(server): Path<String>,
) -> Result<StatusCode, Problem> {
    platform.toolkit.logout(&principal, &server).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The user is back from consenting, perhaps at another replica than the one that began it.
async fn callback(
    State(platform): State<Platform>,
    Caller(principal): Caller,
    RawQuery(query): RawQuery,
) -> Result<StatusCode, Problem> {
    let nothing = || Problem(StatusCode::NOT_FOUND, "nobody consents here".to_owned());
    let consent = platform.consent.ok_or_else(nothing)?;
    let url = format!("{CALLBACK}?{}", query.unwrap_or_default());
    let completed = consent.complete_for(&principal, &url).await;
    completed.map_err(|error| Problem(StatusCode::FORBIDDEN, error.to_string()))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Who sent a request. Without a key that the platform knows nothing happens.
struct Caller(Principal);

impl FromRequestParts<Platform> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut request::Parts,
        platform: &Platform,
    ) -> Result<Self, Problem> {
        let sent = parts.headers.get(AUTHORIZATION);
        let key = sent.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let caller = key.and_then(|key| platform.caller(key));
        let unknown = || Problem(StatusCode::UNAUTHORIZED, "nobody has this key".to_owned());
        caller.map(Self).ok_or_else(unknown)
    }
}

/// What a caller is told. The toolkit's errors hold no secret.
struct Problem(StatusCode, String);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let status = match error.kind() {
            ErrorKind::InvalidArguments => StatusCode::BAD_REQUEST,
            ErrorKind::NeedsAuthorization => StatusCode::FORBIDDEN,
            ErrorKind::UnknownTool | ErrorKind::UnknownServer => StatusCode::NOT_FOUND,
            // Nothing but the rate limit denies here.
            ErrorKind::Denied => StatusCode::TOO_MANY_REQUESTS,
            ErrorKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::BAD_GATEWAY,
        };
        Self(status, error.to_string())
    }
}

impl From<LogoutError> for Problem {
    fn from(incomplete: LogoutError) -> Self {
        let first = incomplete.errors().first().cloned();
        first.map_or_else(
            || Self(StatusCode::BAD_GATEWAY, incomplete.to_string()),
            Self::from,
        )
    }
}
