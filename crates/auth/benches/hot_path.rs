//! What asking for credentials costs when they are held: under 100 ns, whoever holds them.

#![expect(
    clippy::expect_used,
    reason = "a test stops where something is not as it should be"
)]

use mcp_auth::testing::ScriptedSource;
use mcp_auth::{
    Bearer, Combined, CredentialProvider, CredentialRequest, Headers, PerPrincipal, Principal,
    RefreshingToken, ServerId,
};

fn main() {
    divan::main();
}

fn run(bencher: divan::Bencher<'_, '_>, provider: &dyn CredentialProvider) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let server = ServerId::new("server").expect("a name");
    let alice = Principal::in_tenant("acme", "alice").expect("a name");
    let request = CredentialRequest::new(&server, &alice);
    runtime
        .block_on(provider.credentials(request))
        .expect("credentials");
    bencher.bench_local(|| provider.credentials(divan::black_box(request)).now());
}

#[divan::bench]
fn bearer(bencher: divan::Bencher<'_, '_>) {
    run(bencher, &Bearer::new("test-token").expect("a token"));
}

#[divan::bench]
fn refreshing(bencher: divan::Bencher<'_, '_>) {
    run(bencher, &RefreshingToken::new(ScriptedSource::new()));
}

#[divan::bench]
fn combined(bencher: divan::Bencher<'_, '_>) {
    let headers = Headers::new([("X-Tenant-Id", "acme")]).expect("headers");
    let refreshing = RefreshingToken::new(ScriptedSource::new());
    let both = Combined::new(refreshing, headers).expect("no conflict");
    run(bencher, &both);
}

#[divan::bench]
fn per_principal(bencher: divan::Bencher<'_, '_>) {
    let each = PerPrincipal::new(|_, _| Ok(RefreshingToken::new(ScriptedSource::new())));
    run(bencher, &each);
}
