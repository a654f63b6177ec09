//! What an entry says about headers and tokens, as one provider.

use std::sync::Arc;

use mcp_auth::{
    Combined, CommandToken, Credentials, HeadersHelper, RefreshingToken, SecretHeaders, SecretKind,
    SecretScope, SecretString, SharedProvider,
};
use mcp_core::{Error, Principal, ServerId};

use super::ServerLoader;
use crate::config::auth::AuthConfig;
use crate::config::secret::ConfiguredSecret;
use crate::config::server::HttpConfig;

impl ServerLoader {
    /// Tells mistakes in values that are at hand with their place.
    pub(super) async fn check_http(&self, http: &HttpConfig) -> Result<(), Error> {
        for (name, secret) in &http.headers {
            if let Some(value) = self.at_hand(secret).await? {
                let checked = Credentials::builder().header(name, value);
                checked.map_err(|error| secret.wrong(error))?;
            }
        }
        if let Some(AuthConfig::Bearer(secret)) = &http.auth
            && let Some(token) = self.at_hand(secret).await?
        {
            Credentials::bearer(token).map_err(|error| secret.wrong(error))?;
        }
        if let Some(AuthConfig::OAuth(oauth)) = &http.auth {
            for secret in oauth.secrets() {
                self.at_hand(secret).await?;
            }
        }
        Ok(())
    }

    /// Everything that the entry says about headers and tokens.
    pub(in crate::config) fn provider(
        &self,
        http: &HttpConfig,
        principal: &Principal,
    ) -> Result<Option<SharedProvider>, Error> {
        let scope = with_principal(&self.scope, &self.config.id, principal);
        let mut headers = SecretHeaders::new();
        let mut providers: Vec<SharedProvider> = Vec::new();
        for (name, secret) in &http.headers {
            let added = headers.header(name, secret.reference().clone());
            headers = added.map_err(|error| secret.wrong(error))?;
        }
        match &http.auth {
            Some(AuthConfig::Bearer(secret)) => {
                let added = headers.bearer(secret.reference().clone());
                headers = added.map_err(|error| secret.wrong(error))?;
            }
            Some(AuthConfig::Command(words)) => {
                let (program, arguments) = self.program("auth.command", words)?;
                let source = CommandToken::new(program, arguments).with_scope(scope.clone());
                providers.push(Arc::new(RefreshingToken::new(source)));
            }
            #[cfg(feature = "oauth")]
            Some(AuthConfig::OAuth(_)) => {
                let oauth = self.oauth()?.map(|oauth| Arc::new(oauth) as SharedProvider);
                providers.extend(oauth);
            }
            #[cfg(not(feature = "oauth"))]
            Some(AuthConfig::OAuth(_)) => {
                return Err(self.wrong("auth", "type `oauth` needs the feature `oauth`"));
            }
            None => {}
        }
        if let Some(words) = &http.headers_helper {
            let (program, arguments) = self.program("headersHelper", words)?;
            let helper = HeadersHelper::new(program, arguments).scope(scope.clone());
            providers.push(Arc::new(helper));
        }
        if !http.headers.is_empty() || matches!(http.auth, Some(AuthConfig::Bearer(_))) {
            providers.push(Arc::new(headers.scope(scope)));
        }
        let mut all = providers.into_iter();
        let Some(mut provider) = all.next() else {
            return Ok(None);
        };
        for next in all {
            let combined = Combined::new(provider, next);
            provider =
                Arc::new(combined.map_err(|error| self.wrong("headers", error.to_string()))?);
        }
        Ok(Some(provider))
    }

    /// The value, where it can be had without running anything.
    pub(super) async fn at_hand(
        &self,
        secret: &ConfiguredSecret,
    ) -> Result<Option<SecretString>, Error> {
        match secret.reference().kind() {
            SecretKind::Command => Ok(None),
            _ => secret.resolve(&self.scope).await.map(Some),
        }
    }

    fn program<'w>(
        &self,
        field: &str,
        words: &'w [String],
    ) -> Result<(&'w String, &'w [String]), Error> {
        let split = words.split_first();
        split.ok_or_else(|| self.wrong(field, "names no program"))
    }
}

/// The surroundings in which a command is told for which server and for whom it runs.
pub(crate) fn with_principal(
    scope: &SecretScope,
    server: &ServerId,
    principal: &Principal,
) -> SecretScope {
    scope
        .clone()
        .with_variable("MCPT_SERVER", server.as_str())
        .with_variable("MCPT_USER", principal.user())
        .with_variable("MCPT_TENANT", principal.tenant().unwrap_or_default())
}
