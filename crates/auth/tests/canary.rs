//! No secret comes out: canaries in every public constructor, and a search through everything that
//! is printed, logged or told as an error.

#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    reason = "a test stops where something is not as it should be"
)]

use std::error::Error;
use std::fmt::Debug;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderValue, StatusCode};
use mcp_auth::testing::{RotatingIssuer, ScriptedSource, Step};
use mcp_auth::{
    AuthorizationRequired, Bearer, Challenge, Combined, CommandToken, CredentialError,
    CredentialProvider, CredentialRequest, Credentials, Expiry, FileStore, Fingerprint, Headers,
    HeadersHelper, MemoryStore, PerPrincipal, Principal, Redactor, RefreshingToken, Rejection,
    Save, SecretHeaders, SecretRef, SecretScope, SecretString, ServerId, StoredToken, Token,
    TokenContext, TokenKey, TokenStore, from_async_fn, from_fn,
};

const CANARY: &str = "canary7f3a9c";

/// Everything that came out.
#[derive(Clone, Default)]
struct Out(Arc<Mutex<Vec<u8>>>);

impl Out {
    fn shown(&self, value: &impl Debug) {
        self.text(&format!("{value:?}\n{value:#?}\n"));
    }

    fn error(&self, error: &(dyn Error + 'static)) {
        let mut next = Some(error);
        while let Some(error) = next {
            self.text(&format!("{error}\n{error:?}\n{error:#?}\n"));
            next = error.source();
        }
    }

    fn text(&self, text: &str) {
        self.0.lock().unwrap().extend_from_slice(text.as_bytes());
    }

    fn take(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn canary(name: &str) -> String {
    format!("{CANARY}-{name}")
}

#[tokio::test]
async fn no_canary_comes_out() {
    let out = Out::default();
    let writer = out.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();

    values(&out);
    refused_values(&out);
    providers(&out).await;
    failures(&out).await;
    references(&out).await;
    stores(&out).await;

    let text = out.take();
    // The search has something to search: logs and errors did come.
    for expected in [
        "credential_refreshed",
        "credential_refresh_failed",
        "is not set",
        "[redacted]",
        "panicked",
    ] {
        assert!(text.contains(expected), "nothing said `{expected}`");
    }
    if let Some(line) = text.lines().find(|line| line.contains(CANARY)) {
        panic!("a secret came out: {line}");
    }
}

fn values(out: &Out) {
    let credentials = Credentials::builder()
        .bearer(canary("bearer"))
        .unwrap()
        .header("X-Api-Key", canary("key"))
        .unwrap()
        .volatile_header("X-Trace", canary("trace"))
        .unwrap();
    out.shown(&credentials);
    let credentials = credentials.build().unwrap();
    out.shown(&credentials);
    out.shown(&credentials.headers());
    out.shown(&Fingerprint::of([canary("print").as_bytes()]));
    out.text(&credentials.fingerprint().to_string());
    out.text(&credentials.redact(&format!("echo {} {}", canary("bearer"), canary("key"))));
    let echo = format!(
        "Bearer realm=\"{}\", error_description=\"{}\"",
        canary("bearer"),
        canary("key")
    );
    let challenges = Challenge::parse([&HeaderValue::try_from(echo).unwrap()], &credentials);
    out.shown(&challenges);
    out.text(challenges[0].parameter("error_description").unwrap());
    let (server, alice) = (ServerId::new("s").unwrap(), Principal::local());
    let request = CredentialRequest::new(&server, &alice);
    let rejection = Rejection::new(request, &credentials, StatusCode::UNAUTHORIZED);
    out.shown(&rejection.challenges(&challenges));

    let token = token();
    out.shown(&token);
    let mut context = TokenContext::default();
    context.previous = Some(token.clone());
    out.shown(&context);
    out.shown(&StoredToken::new(
        token.clone(),
        UNIX_EPOCH,
        mcp_auth::Revision::unique(),
    ));
    out.shown(&Save::new(&token, UNIX_EPOCH));
    let link = format!("https://as.test/authorize?state={}", canary("state"));
    let required = AuthorizationRequired::new().with_authorize_url(link);
    out.shown(&required);
    out.error(&CredentialError::needs_authorization(required));
    let redactor = Redactor::new([SecretString::from(canary("known"))]).suspicious();
    out.shown(&redactor);
    out.text(&redactor.redact(&format!("{} token={}", canary("known"), canary("other"))));
    out.shown(&ScriptedSource::new().then(Step::Token(token.clone())));
    out.shown(&Step::Token(token));
    out.shown(&Step::Panic(canary("panic")));
}

fn refused_values(out: &Out) {
    let bad = format!("{CANARY}\r\nX-Evil: 1");
    out.error(&Credentials::bearer(bad.clone()).unwrap_err());
    out.error(&Bearer::new(bad.clone()).unwrap_err());
    out.error(&Headers::new([("X-Key", bad.clone())]).unwrap_err());
    out.error(&Headers::new([("Host", canary("host"))]).unwrap_err());
    out.error(&Headers::new([("X-Key", format!("{CANARY}é"))]).unwrap_err());
    out.error(&Headers::new([("X-Key", CANARY.repeat(10_000))]).unwrap_err());
    out.error(&SecretRef::template(format!("${{{CANARY}")).unwrap_err());
    out.error(&SecretRef::env(format!("{CANARY}=x")).unwrap_err());
    for json in [
        format!("{{\"env\":[\"{CANARY}\"]}}"),
        format!("{{\"file\":\"x\",\"default\":\"{CANARY}\"}}"),
        format!("{{\"{CANARY}\":1}}"),
        format!("[\"{CANARY}\"]"),
    ] {
        out.error(&serde_json::from_str::<SecretRef>(&json).unwrap_err());
    }
}

async fn providers(out: &Out) {
    let bearer = Bearer::new(canary("bearer")).unwrap();
    let headers = Headers::new([("X-Key", canary("key"))]).unwrap();
    out.shown(&bearer);
    out.shown(&headers);
    let both = Combined::new(bearer, headers).unwrap();
    use_it(out, &both).await;
    out.shown(&both);
    let made = from_fn(|_| Ok(Credentials::bearer(canary("fn"))?));
    use_it(out, &made).await;
    let made = from_async_fn(|_| async { Ok(Credentials::bearer(canary("async"))?) });
    use_it(out, &made).await;
    let refreshing = RefreshingToken::new(|_| async { Ok(token()) }).on_event({
        let out = out.clone();
        move |event| out.shown(event)
    });
    use_it(out, &refreshing).await;
    refreshing.replace(token()).await.unwrap();
    let each = PerPrincipal::new(|_, _| Ok(RefreshingToken::new(|_| async { Ok(token()) })));
    use_it(out, &each).await;
}

async fn failures(out: &Out) {
    let panicking = RefreshingToken::new(ScriptedSource::new().then(Step::Panic(canary("panic"))));
    use_it(out, &panicking).await;
    #[expect(clippy::panic, reason = "providers do that")]
    let panicking = from_fn(|_| panic!("{}", canary("panic")));
    use_it(out, &panicking).await;
    #[expect(clippy::panic, reason = "providers do that")]
    let panicking = from_async_fn(|_| async { panic!("{}", canary("panic")) });
    use_it(out, &panicking).await;
    let malformed = RefreshingToken::new(|_| async { Ok(Token::new(format!("{CANARY} \n x"))) });
    use_it(out, &malformed).await;
    let ended = RefreshingToken::new(|_| async {
        Ok(Token::new(canary("ended")).with_expiry(Expiry::from_expires_in("0")))
    });
    use_it(out, &ended).await;
}

async fn references(out: &Out) {
    let scope = SecretScope::new()
        .with_variable("TOKEN", canary("variable"))
        .with_lookup(|name| (name == "SET").then(|| canary("looked-up").into()));
    out.shown(&scope);
    let failing = format!("echo {CANARY}-out; echo token={CANARY}-err >&2; exit 1");
    for reference in [
        SecretRef::literal(canary("literal")),
        SecretRef::template(format!("{CANARY} ${{SET}} ${{UNSET:-{CANARY}}}")).unwrap(),
        SecretRef::env_or("UNSET", canary("default")).unwrap(),
        SecretRef::env("UNSET_AND_WITHOUT_DEFAULT").unwrap(),
        SecretRef::command("sh", ["-c", failing.as_str()]),
        SecretRef::command("/nonexistent", [canary("argument")]),
        SecretRef::file("/nonexistent/file"),
    ] {
        out.shown(&reference);
        out.text(&reference.to_string());
        match reference.resolve_in(&scope).await {
            Ok(secret) => out.shown(&secret),
            Err(error) => out.error(&error),
        }
        let provider = SecretHeaders::new().bearer(reference).unwrap();
        use_it(out, &provider.scope(scope.clone())).await;
    }
    let source = CommandToken::new("echo", [canary("argument")]).with_scope(scope.clone());
    out.shown(&source);
    use_it(out, &RefreshingToken::new(source)).await;
    let source = CommandToken::new("echo", [format!("{{\"{CANARY}\"")]);
    use_it(out, &RefreshingToken::new(source)).await;
    let json = format!("{{\"X-Key\":\"{CANARY}\"}}");
    use_it(out, &HeadersHelper::new("echo", [json])).await;
    use_it(out, &HeadersHelper::new("echo", [canary("no-json")])).await;
}

async fn stores(out: &Out) {
    let directory = tempfile::tempdir().unwrap();
    let file = FileStore::new(directory.path().join("store")).unwrap();
    let key = TokenKey::new(ServerId::new("s").unwrap(), Principal::local());
    out.shown(&key);
    for store in [
        Arc::new(MemoryStore::new()) as Arc<dyn TokenStore>,
        Arc::new(file.clone()),
    ] {
        store
            .save(&key, Save::new(&token(), UNIX_EPOCH))
            .await
            .unwrap();
        out.shown(&store);
        out.shown(&store.load(&key).await.unwrap());
        let provider = RefreshingToken::new(RotatingIssuer::new(Duration::from_secs(60)))
            .store(Arc::clone(&store), key.clone());
        use_it(out, &provider).await;
    }
    let path = file.directory().join(format!("{}.json", key.digest()));
    std::fs::write(&path, format!("{{\"version\":\"{CANARY}\"}}")).unwrap();
    out.error(&file.load(&key).await.unwrap_err());
    let provider = RefreshingToken::new(|_| async { Ok(token()) }).store(Arc::new(file), key);
    use_it(out, &provider).await;
}

/// Asks, refuses, asks again, and notes what is shown on the way.
async fn use_it(out: &Out, provider: &dyn CredentialProvider) {
    out.shown(&provider);
    let (server, alice) = (ServerId::new("s").unwrap(), Principal::local());
    let request = CredentialRequest::new(&server, &alice);
    for _ in 0..2 {
        match provider.credentials(request).await {
            Ok(credentials) => {
                out.shown(&credentials);
                let rejection = Rejection::new(request, &credentials, StatusCode::UNAUTHORIZED);
                match provider.rejected(rejection).await {
                    Ok(recovery) => out.shown(&recovery),
                    Err(error) => out.error(&error),
                }
            }
            Err(error) => out.error(&error),
        }
    }
    out.shown(&provider);
}

fn token() -> Token {
    Token::new(canary("access"))
        .with_refresh_token(canary("refresh"))
        .with_extra("dpop_key", canary("extra"))
        .expires_in(Duration::from_secs(3600))
}

/// What can hold a secret cannot be serialised by accident.
mod serialised {
    use mcp_auth::{Bearer, Credentials, Headers, SecretRef, StoredToken, Token};
    use serde::Serialize;
    use static_assertions::assert_not_impl_any;

    assert_not_impl_any!(Bearer: Serialize);
    assert_not_impl_any!(Credentials: Serialize);
    assert_not_impl_any!(Headers: Serialize);
    assert_not_impl_any!(SecretRef: Serialize);
    assert_not_impl_any!(StoredToken: Serialize);
    assert_not_impl_any!(Token: Serialize);
}
