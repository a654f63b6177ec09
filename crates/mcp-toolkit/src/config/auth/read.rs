//! Reading `auth`.

use super::fields::{
    AUDIENCES, BEARER_FIELDS, COMMAND_FIELDS, GRANTS, IDP_FIELDS, KINDS, Kind, METHODS,
    OAUTH_FIELDS,
};
use super::{AuthConfig, Dpop, OAuthConfig};
use crate::config::error::{ConfigError, ConfigWarning};
use crate::config::fields::{Field, Fields};
use crate::config::table::Known;

impl AuthConfig {
    pub(crate) fn read(
        field: &Field<'_>,
        warnings: &mut Vec<ConfigWarning>,
    ) -> Result<Self, ConfigError> {
        if field
            .node()
            .string()
            .is_some_and(|word| KINDS.iter().any(|(known, _)| *known == word))
        {
            return Err(field.wrong("is an object, such as `{\"type\": \"oauth\"}`"));
        }
        let entries = field.entries()?;
        let kind = entries.iter().find(|entry| entry.name() == "type");
        let kind = kind
            .ok_or_else(|| field.wrong("`type` is missing: `bearer`, `command` or `oauth`"))?
            .one_of(KINDS)?;
        let missing = |what: &str| field.wrong(format!("`{what}` is missing"));
        let known: &'static [&'static [Known]] = match kind {
            Kind::Bearer => &[BEARER_FIELDS],
            Kind::Command => &[COMMAND_FIELDS],
            Kind::OAuth => {
                return OAuthConfig::read(field, &[OAUTH_FIELDS], warnings)
                    .map(Box::new)
                    .map(Self::OAuth);
            }
        };
        let mut fields = Fields::of(field.node(), field.place(), known, warnings)?;
        fields.take("type");
        let read = if matches!(kind, Kind::Bearer) {
            let token = fields.read("token", Field::secret)?;
            Self::Bearer(token.ok_or_else(|| missing("token"))?)
        } else {
            let command = fields.read("command", Field::command_line)?;
            Self::Command(command.ok_or_else(|| missing("command"))?)
        };
        Ok(read)
    }
}

impl OAuthConfig {
    fn read(
        field: &Field<'_>,
        known: &'static [&'static [Known]],
        warnings: &mut Vec<ConfigWarning>,
    ) -> Result<Self, ConfigError> {
        let mut fields = Fields::of(field.node(), field.place(), known, warnings)?;
        let mut left = Vec::new();
        // An identity provider's entry knows fewer fields, and one of its own.
        let mut take = |name: &'static str| {
            let mut all = known.iter().copied().flatten();
            let is_known = all.any(|known| known.name == name);
            is_known.then(|| fields.take(name)).flatten()
        };
        let idp = take("idp");
        let text = |field: Option<Field<'_>>| field.map(|field| field.plain()).transpose();
        let secret = |field: Option<Field<'_>>| field.map(|field| field.secret()).transpose();
        let read = Self {
            grant: take("grant")
                .map(|grant| grant.one_of(GRANTS))
                .transpose()?
                .unwrap_or_default(),
            client_id: text(take("client_id"))?,
            client_secret: secret(take("client_secret"))?,
            client_auth: take("token_endpoint_auth_method")
                .map(|it| it.one_of(METHODS))
                .transpose()?,
            private_key: secret(take("private_key"))?,
            key_id: text(take("key_id"))?,
            algorithm: text(take("algorithm"))?,
            assertion_audience: take("assertion_audience")
                .map(|it| it.one_of(AUDIENCES))
                .transpose()?
                .unwrap_or_default(),
            client_metadata_url: text(take("client_metadata_url"))?,
            scopes: take("scopes")
                .map(|it| scopes(&it))
                .transpose()?
                .unwrap_or_default(),
            issuer: text(take("issuer"))?,
            resource: text(take("resource"))?,
            redirect_uri: text(take("redirect_uri"))?,
            assertion: secret(take("assertion"))?,
            subject_token: secret(take("subject_token"))?,
            token_endpoint: text(take("token_endpoint"))?,
            dpop: take("dpop")
                .map(|it| dpop(&it))
                .transpose()?
                .unwrap_or_default(),
            idp: idp
                .map(|idp| Self::read(&idp, &[IDP_FIELDS], &mut left).map(Box::new))
                .transpose()?,
        };
        warnings.extend(left);
        Ok(read)
    }
}

/// A list, or one text with spaces between, as OAuth itself writes scopes.
fn scopes(field: &Field<'_>) -> Result<Vec<String>, ConfigError> {
    match field.node().string() {
        Some(text) => Ok(text.split_ascii_whitespace().map(str::to_owned).collect()),
        None => field.strings(),
    }
}

fn dpop(field: &Field<'_>) -> Result<Dpop, ConfigError> {
    match (field.node().boolean(), field.node().string().as_deref()) {
        (Some(true), _) => Ok(Dpop::Require),
        (Some(false), _) => Ok(Dpop::Off),
        (None, Some("prefer")) => Ok(Dpop::Prefer),
        _ => Err(field.wrong("is not `true`, `false` or `\"prefer\"`")),
    }
}
