//! `mcpt login`: consent in the browser, or by hand.

use std::io::{BufRead, Read};
use std::time::Duration;

use mcp_auth::Principal;
use mcp_core::{CallContext, Error};
use mcp_toolkit::config::{AuthConfig, Endpoint, OAuthGrant, ServerConfig};
use mcp_toolkit::oauth::{AuthorizationRequest, Authorized, LoopbackListener, OAuth, OAuthError};

use crate::args::{CommonArgs, LoginArgs, TargetArgs};
use crate::exit::Exit;
use crate::runtime::Work;
use crate::terminal::{self, Look, Role};
use crate::tokens::TokenPlace;
use crate::{browser, connect, failure, render, servers, wait};

/// The longest callback that is read, in bytes.
const MAX_CALLBACK: u64 = 64 * 1024;

pub(crate) fn run(args: &LoginArgs) -> Exit {
    let name = args.server.as_deref().unwrap_or(servers::ADHOC);
    let outcome = match Work::new(1) {
        Ok(work) => {
            let outcome = work.run(log_in(args, name));
            work.end([]);
            outcome
        }
        Err(error) => Err(error),
    };
    let look = Look::of_stdout();
    if args.common.json {
        terminal::print(&render::login::json(name, outcome.as_ref(), look));
    }
    match outcome {
        Ok(authorized) => {
            if !args.common.json {
                terminal::print(&render::login::human(name, &authorized));
            }
            Exit::Done
        }
        Err(error) => {
            failure::complain(&error);
            error.kind().into()
        }
    }
}

/// The provider that logs in and out of a server, and the server.
pub(crate) async fn provider(
    name: &str,
    common: &CommonArgs,
    target: &TargetArgs,
) -> Result<(OAuth, ServerConfig), Error> {
    let server = servers::to_call(name, common, target)?;
    if !connect::takes_logins(&server) {
        return Err(Error::config(format!(
            "server `{name}`: there is nothing to log in to: it is a child, or its entry says by itself \
             what is sent"
        )));
    }
    let server = connect::with_oauth(&server);
    let store = TokenPlace::chosen(common.token_store.as_ref())?
        .open()
        .await?;
    let loader = server.loader().token_store(store);
    // Mistakes are told with their place.
    loader.credentials().await?;
    match loader.oauth()? {
        Some(oauth) => Ok((oauth, server)),
        None => Err(Error::config("there is nothing to log in to")),
    }
}

async fn log_in(args: &LoginArgs, name: &str) -> Result<Authorized, Error> {
    let principal = servers::principal(&args.common)?;
    let (oauth, server) = provider(name, &args.common, &args.target).await?;
    let grant = match &server.endpoint {
        Endpoint::Http(http) => match &http.auth {
            Some(AuthConfig::OAuth(oauth)) => oauth.grant,
            _ => OAuthGrant::default(),
        },
        _ => OAuthGrant::default(),
    };
    let asking = async {
        let authorized = match grant {
            OAuthGrant::AuthorizationCode if args.headless => {
                Box::pin(by_hand(&oauth, &principal)).await
            }
            OAuthGrant::AuthorizationCode => Box::pin(in_browser(&oauth, &principal)).await,
            OAuthGrant::DeviceCode => Box::pin(on_device(&oauth, &principal, args.timeout)).await,
            _ => {
                return Err(Error::config(format!(
                    "server `{name}`, field `auth.grant`: nobody has to log in for this grant; calls \
                     get their tokens by themselves"
                )));
            }
        };
        authorized.map_err(Error::from)
    };
    let context = CallContext::new(principal.clone()).with_timeout(args.timeout);
    let logged_in = context.bound(Duration::MAX, "waiting for the user's consent", asking);
    Box::pin(logged_in)
        .await
        .map_err(|error| error.at_server(&server.id))
}

/// Begins, and listens for the answer; the URL is the user's.
async fn begin(
    oauth: &OAuth,
    principal: &Principal,
) -> Result<(LoopbackListener, String), OAuthError> {
    let listener = oauth.listen(principal, None).await?;
    let request = AuthorizationRequest::new().redirect_uri(listener.redirect_uri());
    let prompt = oauth.begin(principal, request).await?;
    Ok((listener, prompt.authorize_url))
}

async fn in_browser(oauth: &OAuth, principal: &Principal) -> Result<Authorized, OAuthError> {
    let (listener, url) = begin(oauth, principal).await?;
    let (word, text) = if browser::open(&url) {
        (
            "login",
            "the browser opens; if it does not, open this page:",
        )
    } else {
        ("login", "no browser can be started; open this page:")
    };
    terminal::complain(Role::Heading, word, &format!("{text}\n\n{url}\n"));
    let arrived = wait::with_spinner("waiting for the browser", listener.first_callback()).await?;
    let outcome = oauth.complete_for(principal, arrived.url()).await;
    arrived.answer(&outcome).await;
    outcome
}

async fn by_hand(oauth: &OAuth, principal: &Principal) -> Result<Authorized, OAuthError> {
    // The port stays taken meanwhile: nobody else on this machine gets the code. A browser that runs
    // here all the same needs no pasting.
    let (listener, url) = begin(oauth, principal).await?;
    let text = "open this page, and paste the address that the browser ends on:";
    terminal::complain(Role::Heading, "login", &format!("{text}\n\n{url}\n"));
    let pasted = tokio::task::spawn_blocking(line);
    tokio::select! {
        biased;
        line = pasted => {
            let line = line.ok().flatten().unwrap_or_default();
            oauth.complete_for(principal, line.trim()).await
        }
        arrived = listener.first_callback() => {
            let arrived = arrived?;
            let outcome = oauth.complete_for(principal, arrived.url()).await;
            arrived.answer(&outcome).await;
            outcome
        }
    }
}

async fn on_device(
    oauth: &OAuth,
    principal: &Principal,
    patience: Duration,
) -> Result<Authorized, OAuthError> {
    let shown = |required: &mcp_auth::AuthorizationRequired| {
        let code = required.user_code.as_deref().unwrap_or_default();
        let url = required.authorize_url.as_deref().unwrap_or_default();
        let text = format!("open this page on any device, and type `{code}` there:\n\n{url}\n");
        terminal::complain(Role::Heading, "login", &text);
    };
    let waiting = Box::pin(oauth.login_on_device(principal, patience, shown));
    wait::with_spinner("waiting for the code to be typed", waiting).await
}

/// One line of standard input.
fn line() -> Option<String> {
    let mut line = String::new();
    let mut input = std::io::stdin().lock().take(MAX_CALLBACK);
    input.read_line(&mut line).ok()?;
    Some(line)
}
