//! Tokens that are of no use without a key (DPoP, RFC 9449): each user has a key of their own, the
//! server's nonces are handled unseen, and a stolen token opens nothing.
//!
//! `cargo run --example dpop`
#![expect(clippy::print_stdout, reason = "an example tells what happens")]

use std::sync::Arc;

use mcp_testbed::oauth::AuthServer;
use mcp_toolkit::auth::{CredentialError, MaybeReady, SecretString};
use mcp_toolkit::http::{HttpClient, HttpRequest, HttpUrl};
use mcp_toolkit::oauth::{AssertionSource, Dpop, Grant, OAuth};
use mcp_toolkit::{Principal, ServerId, load_mcp_tools_http};

/// What vouches for a user: the token of the user's login at your platform, say.
#[derive(Debug)]
struct Logins;

impl AssertionSource for Logins {
    fn assertion<'a>(
        &'a self,
        principal: &'a Principal,
    ) -> MaybeReady<'a, Result<SecretString, CredentialError>> {
        MaybeReady::ready(Ok(format!("test-login-of-{}", principal.user()).into()))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Binds tokens to keys, and wants a nonce of its own in every proof.
    let server = AuthServer::start().await;
    server.bind_tokens();
    server.demand_nonce();

    // `Require`: a token that is not bound is an error. `Prefer` would take it.
    let oauth = OAuth::builder(ServerId::new("notes")?, HttpUrl::parse(&server.url())?)
        .grant(Grant::JwtBearer(Arc::new(Logins)))
        .dpop(Dpop::Require)
        .build();
    for user in ["alice", "bob"] {
        let tools = load_mcp_tools_http(server.url())
            .named("notes")
            .principal(user)
            .oauth(&oauth)
            .await?;
        // From now on only another nonce is good.
        server.demand_nonce();
        println!("{user}: {}", tools.get("echo")?.call(()).await?.text());
    }

    let seen = server.seen();
    let calls = seen.iter().filter(|it| it.rpc_method() == "tools/call");
    println!("2 calls took {} requests", calls.count());
    let bound = seen.iter().filter_map(|request| {
        let token = request.header("authorization")?;
        Some((token, request.header("dpop")?))
    });
    let bound: Vec<_> = bound.collect();
    let [(_, alices), .., (token, bobs)] = &bound[..] else {
        return Err("no token was bound".into());
    };
    // A proof begins with the public key.
    let key = |proof: &str| proof.split('.').next().map(str::to_owned);
    let apart = key(alices) != key(bobs);
    println!("each user signs with a key of their own: {apart}");

    // Somebody has read Bob's token, and what went with it, out of a log.
    let as_bearer = token.replace("DPoP ", "Bearer ");
    for (what, token, proof) in [
        ("as a bearer token", &*as_bearer, None),
        ("without a proof", token, None),
        ("with the proof that was used", token, Some(bobs)),
    ] {
        let url = HttpUrl::parse(&server.url())?;
        let list = r#"{ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }"#;
        let mut request = HttpRequest::post(&url, list);
        request.headers.insert("authorization", token.parse()?);
        if let Some(proof) = proof {
            request.headers.insert("dpop", proof.parse()?);
        }
        let response = HttpClient::new().send(request).await?;
        println!("stolen, {what}: {}", response.status());
    }
    Ok(())
}
