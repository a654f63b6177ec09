//! A server behind a URL.

use std::sync::Arc;

use mcp_auth::{Anonymous, SharedProvider};
use mcp_core::{CallContext, Error, ErrorKind, Failure, ProtocolVersion, ToolServer};
use mcp_http::{HttpClient, HttpServer, TransportChoice};
use mcp_toolkit::config::{AuthConfig, HttpConfig, HttpTransport, ServerConfig, ServerLoader};
use serde_json::Map;

use super::advice::Advisor;
use super::contact;
use super::diagnosis::{Begun, Diagnosis, begin};
use super::settings::{self, Patient};
use super::watch::{Seen, Watch};
use super::{certificate, network};
use crate::connect;

/// A tool that no server has, to be asked for.
const NO_TOOL: &str = "mcpt-doctor-no-such-tool";

pub(crate) async fn examine(
    diagnosis: &mut Diagnosis,
    config: &ServerConfig,
    http: &HttpConfig,
    patient: &Patient<'_>,
) {
    let begun = begin("configuration");
    let mut client = HttpClient::builder().limits(patient.limits.clone()).build();
    if let Some(hosts) = &http.allowed_hosts {
        client = client.limited_to(hosts);
    }
    let opened = async {
        client.check(&http.url)?;
        let loader = connect::loader(config.clone(), patient.principal, patient.tokens).await?;
        let loader = loader.client(&client);
        let provider = loader.credentials().await?;
        Ok((loader, provider))
    };
    let (loader, provider) = match opened.await {
        Ok(opened) => opened,
        Err(error) => return settings::refuse(diagnosis, &begun, error),
    };
    settings::accept(diagnosis, &begun);
    let patience = patient.limits.connect_timeout;
    if !network::reachable(diagnosis, &http.url, patience).await
        || !certificate::believed(diagnosis, &client, &http.url, patience).await
    {
        return;
    }
    let provider = provider.unwrap_or_else(|| Arc::new(Anonymous::new()));
    let watch = Arc::new(Watch::new(provider));
    let server = HttpServer::builder(http.url.as_str())
        .id(config.id.clone())
        .credentials(Arc::clone(&watch) as SharedProvider)
        .client(client.clone())
        .transport(match http.transport {
            HttpTransport::Http => TransportChoice::Http,
            HttpTransport::Sse => TransportChoice::Sse,
            _ => TransportChoice::Auto,
        })
        .protocol(config.protocol)
        .limits(patient.limits.clone());
    let server = match &http.auth {
        Some(AuthConfig::OAuth(oauth)) => match oauth.grant.extension() {
            Some(extension) => server.extension(extension),
            None => server,
        },
        _ => server,
    };
    let begun = begin("configuration");
    let server = match server.build() {
        Ok(server) => server,
        Err(error) => return settings::refuse(diagnosis, &begun, error),
    };
    let advisor = Advisor {
        config,
        http,
        client: &client,
        watch: &watch,
        patience,
    };
    ask(diagnosis, server, &loader, &advisor, patient).await;
}

async fn ask(
    diagnosis: &mut Diagnosis,
    server: HttpServer,
    loader: &ServerLoader,
    advisor: &Advisor<'_>,
    patient: &Patient<'_>,
) {
    let context =
        || CallContext::new(patient.principal.clone()).with_timeout(patient.limits.startup_timeout);
    let mut begun = begin("protocol");
    let first = server.list_tools(&context()).await;
    begun.stop();
    diagnosis.transport = Some(server.transport());
    let begun_authentication = begin("authentication");
    let listing = match first {
        Ok(listing) => listing,
        Err(error) => {
            diagnosis.transport = None;
            let advice = advisor.advice(&error).await;
            if !is_refusal(&error) {
                return diagnosis.fail(&begun, error, advice);
            }
            diagnosis.skip("protocol", "not asked: the server refused before");
            let begun = (begun, begun_authentication);
            return refused(diagnosis, begun, error, &advice, &advisor.watch.seen());
        }
    };
    diagnosis.protocol = listing.server.protocol;
    contact::versions(diagnosis, &begun, &listing.server);
    if !listing.tools.is_empty()
        && let Some(error) = refuses_calls(&server, &context()).await
    {
        let advice = advisor.advice(&error).await;
        let advice = format!("the list of tools is open, calls are not: {advice}");
        let begun = (begin("authentication"), begun_authentication);
        return refused(diagnosis, begun, error, &advice, &advisor.watch.seen());
    }
    authenticated(diagnosis, &begun_authentication, loader, advisor, patient).await;
    advisor.scopes(diagnosis, loader, patient).await;
    let shared: Arc<dyn ToolServer> = Arc::new(server.clone());
    contact::tools(diagnosis, &shared, advisor.config, &context()).await;
    let begun = begin("ping");
    let is_stateless = diagnosis
        .protocol
        .is_some_and(ProtocolVersion::is_stateless);
    let method = if is_stateless {
        "server/discover"
    } else {
        "ping"
    };
    let answered = server.request(method, &Map::new(), &context()).await;
    contact::ping(diagnosis, &begun, answered.map(|_| ()));
    shared.close(&context()).await;
}

/// Why calls are not let through, where the list was. No tool is called: the one that is asked for
/// does not exist.
async fn refuses_calls(server: &HttpServer, context: &CallContext) -> Option<Error> {
    let mut params = Map::new();
    params.insert("name".to_owned(), NO_TOOL.into());
    params.insert("arguments".to_owned(), Map::new().into());
    let answered = server.request("tools/call", &params, context).await;
    answered.err().filter(is_refusal)
}

/// Whether it is about who calls, and not about what was said.
fn is_refusal(error: &Error) -> bool {
    error.kind().is_refusal()
        || error.kind() == ErrorKind::CredentialUnavailable
        || matches!(error.failure(), Failure::Credential(_))
}

/// The step `authentication`, or `scopes` after it: what was sent, what came back.
fn refused(
    diagnosis: &mut Diagnosis,
    (begun, begun_authentication): (Begun, Begun),
    error: Error,
    advice: &str,
    seen: &Seen,
) {
    let name = match error.kind() {
        ErrorKind::InsufficientScope => "scopes",
        _ => "authentication",
    };
    if name == "scopes" {
        diagnosis.ok(&begun_authentication, seen.sent_words());
    }
    diagnosis.fail(&Begun { name, ..begun }, error, advice);
    if let Some(step) = diagnosis.steps.last_mut() {
        let said = seen.challenge_words();
        let words = [Some(seen.sent_words()), said, Some(step.detail.clone())];
        let words: Vec<_> = words.into_iter().flatten().collect();
        step.detail = words.join("; ");
    }
}

async fn authenticated(
    diagnosis: &mut Diagnosis,
    begun: &Begun,
    loader: &ServerLoader,
    advisor: &Advisor<'_>,
    patient: &Patient<'_>,
) {
    let seen = advisor.watch.seen();
    let mut words = vec![seen.sent_words()];
    words.extend(seen.challenge_words());
    if let Ok(Some(oauth)) = loader.oauth()
        && let Ok(Some(granted)) = oauth.granted(patient.principal).await
    {
        words.push(format!("the login is of {}", granted.issuer));
        if let Some(end) = granted.expires_at {
            words.push(format!("until {}", humantime::format_rfc3339_seconds(end)));
        }
    } else if let Some(end) = seen.claims.as_ref().and_then(|claims| claims.end) {
        words.push(format!(
            "the token says until {}",
            humantime::format_rfc3339_seconds(end)
        ));
    }
    diagnosis.ok(begun, words.join("; "));
}
