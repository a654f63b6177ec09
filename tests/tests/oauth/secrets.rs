//! What is logged and told while all of it happens.

use std::fmt::Write as _;

use super::*;

/// Everything that is logged, by whomever.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "current_thread")]
async fn no_secret_is_in_logs_or_errors() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);

    let server = AuthServer::start().await;
    server.server_metadata(json!({"dpop_signing_alg_values_supported": ["ES256"]}));
    let oauth = oauth(&server).dpop(Dpop::Prefer).handler(Yes).build();
    let resource = resource(&server, &oauth);
    call(&resource, &alice()).await.unwrap();
    server.end_access();
    call(&resource, &alice()).await.unwrap();
    let mut told_all = format!("{oauth:?} {oauth:#?} {resource:?}");

    // A server that repeats what it was sent.
    server.echo("invalid_target");
    server.end_access();
    told_all.push_str(&shown(&call(&resource, &alice()).await.unwrap_err()));
    let prompt = oauth
        .begin(&alice(), AuthorizationRequest::new())
        .await
        .unwrap();
    let _ = write!(told_all, "{prompt:?}");
    let callback = consent(&prompt.authorize_url).await;
    let error = oauth.complete(&callback).await.unwrap_err();
    told_all.push_str(&shown(&Error::from(error)));
    oauth.logout(&alice()).await.unwrap();

    let log = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(log.contains("oauth_discovered") && log.contains("TRACE"));
    let mut secrets: Vec<String> = Vec::new();
    for form in server
        .forms("/token")
        .into_iter()
        .chain(server.forms("/revoke"))
    {
        for (name, value) in form {
            if matches!(
                &*name,
                "code" | "code_verifier" | "refresh_token" | "client_secret" | "token"
            ) {
                secrets.push(value);
            }
        }
    }
    for request in server.seen() {
        for name in ["authorization", "dpop"] {
            let value = request
                .header(name)
                .and_then(|value| value.split(' ').next_back());
            secrets.extend(value.map(str::to_owned));
        }
    }
    secrets.push(prompt.state.clone());
    assert!(secrets.len() > 10);
    for secret in secrets {
        assert!(!log.contains(&secret), "{secret} in the log");
        assert!(!told_all.contains(&secret), "{secret} in {told_all}");
    }
}

#[test]
fn settings_print_no_secret() {
    let canary = || SecretRef::literal("canary-secret");
    let url = HttpUrl::parse("https://mcp.test/mcp?key=canary").unwrap();
    let enterprise = Enterprise::new("https://idp.test/token", "idp", canary())
        .client_secret(canary())
        .private_key(canary());
    let builder = OAuth::builder(id(), url)
        .client_id("known")
        .client_secret(canary())
        .private_key(canary())
        .grant(Grant::Enterprise(enterprise));
    let mut shown = format!("{builder:?} {builder:#?}");
    let oauth = builder.build();
    let _ = write!(shown, "{oauth:?} {oauth:#?}");
    for grant in [
        Grant::JwtBearer(Arc::new(canary())),
        Grant::TokenExchange(TokenExchange::new(canary())),
    ] {
        let _ = write!(shown, "{grant:?}");
    }
    assert!(!shown.contains("canary"), "{shown}");
}
