//! A browser whose user always says yes: the answer is in the redirect.

use anyhow::{Context as _, Result};
use http::header::LOCATION;
use mcp_core::BoxFuture;
use mcp_core::auth::CredentialError;
use mcp_http::{HttpClient, HttpRequest, HttpUrl};
use mcp_oauth::{AuthorizationHandler, AuthorizationPrompt};

#[derive(Debug)]
pub(crate) struct Browser(pub(crate) HttpClient);

impl AuthorizationHandler for Browser {
    fn authorize<'a>(
        &'a self,
        prompt: &'a AuthorizationPrompt,
    ) -> BoxFuture<'a, Result<String, CredentialError>> {
        Box::pin(async move {
            self.open(&prompt.authorize_url)
                .await
                .map_err(|error| CredentialError::denied(format!("the browser: {error:#}")))
        })
    }
}

impl Browser {
    async fn open(&self, url: &str) -> Result<String> {
        let url = HttpUrl::parse(url)?;
        let response = self.0.send(HttpRequest::get(&url)).await?;
        let to = response
            .header(&LOCATION)
            .context("there was no redirect")?;
        Ok(to.to_owned())
    }
}
