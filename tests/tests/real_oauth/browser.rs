//! A browser with a user in it, at the provider's own pages: signs in and consents.

use std::collections::BTreeMap;

use http::header::{CONTENT_TYPE, COOKIE, HeaderValue, LOCATION, SET_COOKIE};
use mcp_core::BoxFuture;
use mcp_core::auth::CredentialError;
use mcp_http::{HttpClient, HttpRequest, HttpUrl};
use mcp_oauth::{AuthorizationHandler, AuthorizationPrompt};

/// Pages and redirects until the callback; more is a loop.
const STEPS: usize = 20;

/// Signs in under a name and says yes to everything, in a fresh window each time.
#[derive(Clone, Debug)]
pub(crate) struct Browser {
    pub(crate) user: String,
}

impl Browser {
    /// The callback URL that the user ends at.
    pub(crate) async fn consent(&self, url: &str, redirect_uri: &str) -> String {
        let client = HttpClient::new();
        let mut cookies: BTreeMap<String, String> = BTreeMap::new();
        let mut at = HttpUrl::parse(url).unwrap();
        let mut form: Option<String> = None;
        for _ in 0..STEPS {
            let mut request = match form.take() {
                Some(form) => HttpRequest::post(&at, form).header(
                    CONTENT_TYPE,
                    HeaderValue::from_static("application/x-www-form-urlencoded"),
                ),
                None => HttpRequest::get(&at),
            };
            let jar: Vec<_> = cookies.iter().map(|(k, v)| format!("{k}={v}")).collect();
            if !jar.is_empty() {
                let jar = HeaderValue::from_str(&jar.join("; ")).unwrap();
                request = request.header(COOKIE, jar);
            }
            let response = client.send(request).await.unwrap();
            for cookie in response.headers().get_all(SET_COOKIE) {
                let pair = cookie.to_str().unwrap().split(';').next().unwrap();
                let (name, value) = pair.split_once('=').unwrap();
                if value.is_empty() {
                    cookies.remove(name);
                } else {
                    cookies.insert(name.to_owned(), value.to_owned());
                }
            }
            if let Some(to) = response.header(&LOCATION) {
                if to.starts_with(redirect_uri) {
                    return to.to_owned();
                }
                at = at.join(to).unwrap();
                continue;
            }
            let status = response.status();
            let page = response.bytes(1 << 20).await.unwrap();
            let page = String::from_utf8_lossy(&page).into_owned();
            let action = between(&page, "action=\"", "\"")
                .unwrap_or_else(|| panic!("no form at {at} ({status}): {page}"));
            let prompt = between(&page, "name=\"prompt\" value=\"", "\"").unwrap_or_default();
            at = at.join(&action).unwrap();
            form = Some(match prompt.as_str() {
                "login" => format!("prompt=login&login={}&password=x", self.user),
                prompt => format!("prompt={prompt}"),
            });
        }
        panic!("no end of pages, at {at}")
    }
}

impl AuthorizationHandler for Browser {
    fn authorize<'a>(
        &'a self,
        prompt: &'a AuthorizationPrompt,
    ) -> BoxFuture<'a, Result<String, CredentialError>> {
        Box::pin(async move {
            Ok(self
                .consent(&prompt.authorize_url, &prompt.redirect_uri)
                .await)
        })
    }
}

fn between(text: &str, before: &str, after: &str) -> Option<String> {
    let (_, rest) = text.split_once(before)?;
    let (found, _) = rest.split_once(after)?;
    Some(found.replace("&amp;", "&"))
}
