//! Secrets that stand in the file themselves.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use mcp_auth::{ExposeSecret, Redactor, SecretRef, SecretString};

use super::auth::AuthConfig;
use super::error::{ConfigWarning, Place};
use super::secret::ConfiguredSecret;
use super::server::{Endpoint, HttpConfig, ServerConfig, StdioConfig};

/// What the name of a header, a variable or an option has in it if its value is secret.
const SECRET_NAMES: [&str; 9] = [
    "authorization",
    "cookie",
    "credential",
    "key",
    "passwd",
    "password",
    "secret",
    "token",
    "pat",
];

/// Shorter values are no secrets worth a word.
const MIN_LENGTH: usize = 8;

const ADVICE: &str = "the value looks like a secret; keep it elsewhere and write a reference, such as `${VARIABLE}` or \
                      `{\"file\": \"path\"}`";

impl ServerConfig {
    /// What looks like a secret that stands in the entry itself, where every reader of the file and
    /// every backup finds it. It is used all the same.
    pub fn literal_secrets(&self) -> Vec<ConfigWarning> {
        let mut found = Vec::new();
        match &self.endpoint {
            Endpoint::Http(http) => self.in_http(http, &mut found),
            Endpoint::Stdio(stdio) => self.in_stdio(stdio, &mut found),
        }
        found
    }

    fn in_http(&self, http: &HttpConfig, found: &mut Vec<ConfigWarning>) {
        for (name, secret) in &http.headers {
            note_if(looks_secret(name, secret.reference()), secret, found);
        }
        match &http.auth {
            Some(AuthConfig::Bearer(token)) => {
                note_if(token.reference().is_literal(), token, found);
            }
            Some(AuthConfig::OAuth(oauth)) => {
                for secret in oauth.secrets() {
                    note_if(secret.reference().is_literal(), secret, found);
                }
            }
            _ => {}
        }
        let query = http.url.as_str().split_once('?').map(|(_, query)| query);
        let pairs = query.into_iter().flat_map(|query| query.split('&'));
        if pairs
            .filter_map(|pair| pair.split_once('='))
            .any(named_value)
        {
            self.note("url", found);
        }
    }

    fn in_stdio(&self, stdio: &StdioConfig, found: &mut Vec<ConfigWarning>) {
        for (name, secret) in &stdio.env {
            note_if(looks_secret(name, secret.reference()), secret, found);
        }
        let args = stdio.args.iter();
        let pairs = args.clone().zip(args.clone().skip(1));
        let apart = pairs
            .filter(|(option, value)| option.starts_with("--") && !value.starts_with('-'))
            .any(|(option, value)| named_value((option, value)));
        let joined = args
            .clone()
            .filter_map(|argument| argument.split_once('='))
            .any(named_value);
        let path = |argument: &str| ["/", "./", "../"].iter().any(|it| argument.starts_with(it));
        let alone = args
            .clone()
            .any(|argument| !path(argument) && is_suspicious(argument));
        if apart || joined || alone {
            self.note("args", found);
        }
    }

    fn note(&self, field: &str, found: &mut Vec<ConfigWarning>) {
        let place = Place {
            server: Some(self.id.as_str().into()),
            field: Some(field.into()),
            ..Place::default()
        };
        found.push(ConfigWarning::new(place, ADVICE));
    }
}

fn note_if(is_secret: bool, secret: &ConfiguredSecret, found: &mut Vec<ConfigWarning>) {
    if is_secret {
        found.push(ConfigWarning::new(secret.place().clone(), ADVICE));
    }
}

fn looks_secret(name: &str, reference: &SecretRef) -> bool {
    literal(reference).is_some_and(|value| {
        let value = value.expose_secret();
        named_value((name, value)) || is_suspicious(value)
    })
}

fn named_value((name, value): (&str, &str)) -> bool {
    let name = name.to_ascii_lowercase();
    let mut words = name.split(|c: char| !c.is_ascii_alphanumeric());
    let is_secret = |word: &str| {
        SECRET_NAMES
            .iter()
            .any(|known| word == *known || (known.len() > 3 && word.ends_with(known)))
            || word.ends_with("apikey")
    };
    value.len() >= MIN_LENGTH && !value.contains("://") && words.any(is_secret)
}

fn is_suspicious(value: &str) -> bool {
    Redactor::new([]).suspicious().redact(value) != value
}

/// The value, where it stands there itself.
fn literal(reference: &SecretRef) -> Option<SecretString> {
    if !reference.is_literal() {
        return None;
    }
    // A literal is there without waiting.
    let mut resolved = pin!(reference.resolve());
    match resolved
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(value) => value.ok(),
        Poll::Pending => None,
    }
}
