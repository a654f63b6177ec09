//! The JSON Schema of the file, made of the tables that its reader knows.
//!
//! It is as strict as a file without a warning: what the reader does not know is not in it.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value};

use super::auth::{
    AuthConfig, BEARER_FIELDS, COMMAND_FIELDS, IDP_FIELDS, OAUTH_FIELDS, OAuthConfig,
};
use super::file::{self, Config};
use super::secret::ConfiguredSecret;
use super::server::{
    self, HTTP_FIELDS, HttpConfig, STDIO_FIELDS, ServerConfig, StdioConfig, http_kinds,
};
use super::table::{Form, Known};

/// Something other than a blank, and no reference.
const PLAIN: &str = r"^(?!.*\$\{)[\s\S]*\S";
/// As humantime reads it: numbers with units.
const TIME: &str = r"^\s*([0-9]+\s*(ns|nsec|nanos|us|usec|micros|ms|msec|millis|s|sec|secs|second|seconds|m|min|mins|minute|minutes|h|hr|hrs|hour|hours|d|day|days|w|wk|wks|week|weeks|M|month|months|y|yr|yrs|year|years)\s*)+$";
/// Names are letters, digits and `_`.
const VARIABLE: &str = "^[A-Za-z_][A-Za-z0-9_]*$";
/// Every `${` begins a reference to a variable, perhaps with a default.
const TEMPLATE: &str = r"^([^$]|\$(?!\{)|\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\})*$";
const HOST: &str = r"^(\*\.)?(\[[0-9A-Fa-f:.]+\]|[^\s\[\]/:?#@*${}]+)(:[0-9]{1,5})?$";

/// An object with the fields of these tables and no others.
fn object(
    about: &str,
    tables: &[&[Known]],
    required: &[&str],
    generator: &mut SchemaGenerator,
) -> Schema {
    let mut properties = Map::new();
    for known in tables.iter().copied().flatten() {
        let mut schema = value(known.form, generator);
        schema.insert("description".to_owned(), known.about.into());
        properties.insert(known.name.to_owned(), schema.to_value());
    }
    json_schema!({
        "type": "object",
        "description": about,
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// What a value of this form looks like.
fn value(form: Form, generator: &mut SchemaGenerator) -> Schema {
    let texts = || json_schema!({"type": "array", "items": {"type": "string"}});
    match form {
        Form::Text => json_schema!({"type": "string", "pattern": PLAIN}),
        Form::AnyText => json_schema!({"type": "string"}),
        Form::Url => json_schema!({"type": "string", "pattern": r"^\s*https?://(?!.*\$\{)\S+\s*$"}),
        Form::Boolean => json_schema!({"type": "boolean"}),
        Form::Time => {
            json_schema!({"type": "string", "pattern": TIME, "examples": ["30s", "1m 30s"]})
        }
        Form::Count => json_schema!({"type": "integer", "minimum": 1, "maximum": u32::MAX}),
        Form::Texts => texts(),
        Form::Arguments => json_schema!({
            "type": "array",
            "items": {"type": "string", "not": {"pattern": r"\$\{"}},
        }),
        Form::Scopes => json_schema!({"anyOf": [{"type": "string"}, texts()]}),
        Form::CommandLine => json_schema!({"anyOf": [
            {"type": "string", "pattern": r"\S"},
            {"type": "array", "prefixItems": [{"type": "string", "minLength": 1}],
                "items": {"type": "string"}, "minItems": 1},
        ]}),
        Form::Hosts => json_schema!({
            "type": "array",
            "items": {"type": "string", "pattern": HOST},
        }),
        Form::Secret => generator.subschema_for::<ConfiguredSecret>(),
        Form::Secrets => json_schema!({
            "type": "object",
            "additionalProperties": generator.subschema_for::<ConfiguredSecret>(),
        }),
        Form::Words(words) => json_schema!({"enum": words()}),
        Form::Dpop => json_schema!({"enum": [true, false, "prefer"]}),
        Form::Auth => generator.subschema_for::<AuthConfig>(),
        Form::IdentityProvider => generator.subschema_for::<IdentityProvider>(),
        Form::Servers => json_schema!({
            "type": "object",
            "propertyNames": {"minLength": 1, "maxLength": 512},
            "additionalProperties": generator.subschema_for::<ServerConfig>(),
        }),
    }
}

/// Leaves only these words to the fields that say what kind of thing an object is.
fn only(mut schema: Schema, fields: &[&str], words: &[&str]) -> Schema {
    for field in fields {
        let pointer = format!("/properties/{field}/enum");
        if let Some(all) = schema.pointer_mut(&pointer) {
            *all = words.into();
        }
    }
    schema
}

macro_rules! named {
    ($of:ty, $name:literal, |$generator:ident| $schema:expr) => {
        impl JsonSchema for $of {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn schema_id() -> Cow<'static, str> {
                concat!(module_path!(), "::", $name).into()
            }

            fn json_schema($generator: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

named!(Config, "McpConfig", |generator| {
    let about = "The servers of MCP that programs here use.";
    let mut schema = object(about, &[file::FIELDS], &[], generator);
    schema.remove("required");
    let either = ["mcpServers", "servers"].map(|name| serde_json::json!({"required": [name]}));
    schema.insert("anyOf".to_owned(), Value::from(either.to_vec()));
    schema
});

named!(ServerConfig, "Server", |generator| json_schema!({
    "description": "A server behind a URL, or a child process.",
    "anyOf": [
        generator.subschema_for::<HttpConfig>(),
        generator.subschema_for::<StdioConfig>(),
    ],
}));

named!(HttpConfig, "HttpServer", |generator| {
    let about = "A server behind a URL.";
    let schema = object(about, &[server::FIELDS, HTTP_FIELDS], &["url"], generator);
    only(schema, &["type", "transport"], &http_kinds())
});

named!(StdioConfig, "StdioServer", |generator| {
    let about = "A child process that speaks on its standard input and output.";
    let tables = [server::FIELDS, STDIO_FIELDS];
    let schema = object(about, &tables, &["command"], generator);
    only(schema, &["type", "transport"], &["stdio"])
});

named!(AuthConfig, "Auth", |generator| {
    let bearer = "A token that is there.";
    let bearer = object(bearer, &[BEARER_FIELDS], &["type", "token"], generator);
    let command = "A command that prints a token.";
    let command = object(command, &[COMMAND_FIELDS], &["type", "command"], generator);
    json_schema!({"anyOf": [
        only(bearer, &["type"], &["bearer"]),
        only(command, &["type"], &["command"]),
        generator.subschema_for::<OAuthConfig>(),
    ]})
});

named!(OAuthConfig, "OAuth", |generator| {
    let about = "Tokens of an authorization server. Every field but `type` is optional.";
    let schema = object(about, &[OAUTH_FIELDS], &["type"], generator);
    only(schema, &["type"], &["oauth"])
});

/// The object `idp`, which is read into an [`OAuthConfig`] too.
struct IdentityProvider;

named!(IdentityProvider, "IdentityProvider", |generator| object(
    "The company's identity provider.",
    &[IDP_FIELDS],
    &[],
    generator
));

named!(ConfiguredSecret, "Secret", |_generator| json_schema!({
    "description": "A secret, by reference: text with `${VARIABLE}` or `${VARIABLE:-default}` in it, \
        or where it is kept. A literal works too, and every reader of the file can read it.",
    "anyOf": [
        {"type": "string", "pattern": TEMPLATE},
        {
            "type": "object",
            "properties": {
                "env": {"type": "string", "pattern": VARIABLE, "description": "A variable."},
                "default": {"type": "string", "description": "Where the variable is not set."},
            },
            "required": ["env"],
            "additionalProperties": false,
        },
        {
            "type": "object",
            "properties": {"file": {
                "type": "string",
                "description": "A file; relative to this file's folder.",
            }},
            "required": ["file"],
            "additionalProperties": false,
        },
        {
            "type": "object",
            "properties": {"command": {
                "type": "array",
                "prefixItems": [{"type": "string", "minLength": 1}],
                "items": {"type": "string"},
                "minItems": 1,
                "description": "A program and its arguments, which prints the secret.",
            }},
            "required": ["command"],
            "additionalProperties": false,
        },
    ],
}));
