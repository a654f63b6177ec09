//! An entry's server for all principals at once.

use std::sync::Arc;

use mcp_auth::{Combined, CredentialError, PerPrincipal, SharedProvider};
use mcp_core::{Error, Limits, Principal};
use mcp_http::HttpClient;

use super::server::{Endpoint, HttpConfig, ServerConfig};
use crate::{HttpLoader, StdioLoader};

/// The loader of an entry's kind.
pub(crate) enum Loader {
    Http(HttpLoader),
    Stdio(StdioLoader),
}

/// What a server is given besides its entry.
pub(crate) struct Given<'a> {
    /// In place of the entry's `auth`.
    pub(crate) credentials: Option<SharedProvider>,
    pub(crate) client: &'a HttpClient,
    #[cfg(feature = "oauth")]
    pub(crate) store: Option<&'a mcp_auth::SharedStore>,
    pub(crate) limits: &'a Limits,
    /// Whose tokens are held at most.
    pub(crate) principals: Option<usize>,
}

impl ServerConfig {
    /// The loader whose server any principal can use. Nothing is resolved or started.
    pub(crate) fn for_everybody(&self, given: Given<'_>) -> Result<Loader, Error> {
        let mut own = self.loader().client(given.client);
        own.limits = given.limits.clone();
        match &self.endpoint {
            Endpoint::Stdio(stdio) => {
                if given.credentials.is_some() {
                    return Err(Error::config(
                        "a child process has no use for credentials of a request; give it a \
                         variable",
                    ));
                }
                Ok(Loader::Stdio(own.stdio_loader(stdio, &Principal::local())?))
            }
            Endpoint::Http(http) => {
                let mut http = http.clone();
                let mut shared = given.credentials;
                if shared.is_some() {
                    http.auth = None;
                }
                let mut rest = http.clone();
                #[cfg(feature = "oauth")]
                if let Some(super::AuthConfig::OAuth(_)) = rest.auth {
                    // One for all: it keeps principals apart itself.
                    let surroundings = super::OAuthSurroundings {
                        store: given.store.cloned(),
                        client: Some(given.client.clone()),
                        ..Default::default()
                    };
                    let oauth = self.oauth_for(&surroundings, given.principals)?;
                    shared = oauth.map(|oauth| Arc::new(oauth) as SharedProvider);
                    rest.auth = None;
                }
                let each = self.per_principal(&rest, given.principals)?;
                let provider = match (shared, each) {
                    (Some(shared), Some(entry)) => {
                        Some(Arc::new(Combined::new(shared, entry)?) as SharedProvider)
                    }
                    (shared, entry) => shared.or(entry),
                };
                let loader = own.http_loader(&http, provider, &Principal::local())?;
                Ok(Loader::Http(loader))
            }
        }
    }

    /// What the entry says about headers and tokens, for each principal on its own: a program that
    /// is run for a token is told whose.
    fn per_principal(
        &self,
        http: &HttpConfig,
        principals: Option<usize>,
    ) -> Result<Option<SharedProvider>, Error> {
        let own = self.loader();
        if own.provider(http, &Principal::local())?.is_none() {
            return Ok(None);
        }
        let http = http.clone();
        let provider = PerPrincipal::new(move |_, principal| {
            let made = own.provider(&http, principal);
            let none = || CredentialError::misconfigured("the entry gives no credentials");
            // The entry was read without a mistake a moment ago; whose it is changes nothing.
            made.ok().flatten().ok_or_else(none)
        });
        Ok(Some(Arc::new(match principals {
            Some(principals) => provider.capacity(principals),
            None => provider,
        })))
    }
}
