//! Tokens that are bound to a key, through the handle that keeps tools by their fingerprint.

use std::sync::Arc;

use mcp_testbed::oauth::AuthServer;
use mcp_toolkit::auth::{CredentialError, MaybeReady, Principal, SecretString, ServerId};
use mcp_toolkit::http::HttpUrl;
use mcp_toolkit::oauth::{AssertionSource, Dpop, Grant, OAuth};
use mcp_toolkit::{McpToolkit, load_mcp_tools_http};

use crate::{is, say, who};

/// What vouches for a user.
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

#[tokio::test]
async fn a_bound_token_serves_again_and_calls() {
    let server = AuthServer::start().await;
    server.bind_tokens();
    let oauth = OAuth::builder(
        ServerId::new("notes").unwrap(),
        HttpUrl::parse(&server.url()).unwrap(),
    )
    .grant(Grant::JwtBearer(Arc::new(Logins)))
    .dpop(Dpop::Require)
    .build();
    let toolkit = McpToolkit::builder()
        .server("notes", load_mcp_tools_http(server.url()).oauth(&oauth))
        .build()
        .unwrap();
    let (alice, bob) = (who("alice"), who("bob"));
    for user in [&alice, &bob] {
        for _ in 0..3 {
            let found = toolkit.tools_for(user).await;
            is(&found, &[("notes", "1 tools")]);
            say(found.tools(), "echo").await.unwrap();
        }
    }
    // One token for each; a list when the server had just demanded it, one to keep with it, and from
    // then on the cache.
    assert_eq!(server.count("/token"), 2);
    let seen = server.seen();
    let bound = |method: &str| {
        let those = seen.iter().filter(|it| it.rpc_method() == method);
        those.filter(|it| it.header("dpop").is_some()).count()
    };
    assert_eq!((bound("tools/list"), bound("tools/call")), (4, 6));
}
