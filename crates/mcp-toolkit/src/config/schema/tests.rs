//! The schema takes what the reader takes without a warning, field by field.

use jsonschema::Validator;
use schemars::schema_for;
use serde_json::{Value, json};

use super::*;

fn validator() -> Validator {
    jsonschema::validator_for(&schema_for!(Config).to_value()).unwrap()
}

/// Whether a file is read without a mistake and without a warning. A URL that the file itself does
/// not allow is beyond what a schema can say.
fn reads(file: &Value) -> bool {
    let Ok(config) = Config::parse(&file.to_string()) else {
        return false;
    };
    let right = |server: Result<&ServerConfig, &super::super::ConfigError>| match server {
        Ok(_) => true,
        Err(error) => error.problem().contains("is not one of `allowedHosts`"),
    };
    let mut servers = config.servers();
    servers.all(|(_, server)| right(server)) && config.warnings().is_empty()
}

fn in_file(server: &Value) -> Value {
    json!({"mcpServers": {"one": server}})
}

/// Values of all shapes: for every field some are right and most are wrong.
fn samples() -> Vec<Value> {
    let mut samples = vec![
        json!(true),
        json!(7),
        json!([]),
        json!(["a", "b"]),
        json!(["${VARIABLE}"]),
        json!(["${open"]),
        json!([""]),
        json!([7]),
        json!(["*.example.com", "localhost:80", "[::1]:9"]),
        json!(["https://example.com"]),
        json!({}),
        json!({"A": "b"}),
        json!({"A": 7}),
        json!({"A": {"env": "X"}}),
        json!({"env": "X"}),
        json!({"env": "X", "default": ""}),
        json!({"env": "X Y"}),
        json!({"env": "X", "file": "y"}),
        json!({"file": "f"}),
        json!({"file": "f", "default": "y"}),
        json!({"command": ["x", "y"]}),
        json!({"command": []}),
        json!({"command": "x"}),
        json!({"issuer": "https://idp.test"}),
        json!({"a": {"url": "http://127.0.0.1/"}}),
        json!({"a": {"command": "x"}}),
        json!({"type": "bearer", "token": "${T}"}),
        json!({"type": "bearer"}),
        json!({"type": "command", "command": "x y"}),
        json!({"type": "command", "token": "x"}),
        json!({"type": "oauth"}),
        json!({"type": "oauth", "token": "x"}),
        json!({"type": "other"}),
    ];
    let mut texts = vec![
        "",
        " ",
        "text",
        "a b",
        "30s",
        "1m 30s",
        "30",
        "s",
        "${VARIABLE}",
        "x-${V:-y}-${W}",
        "$",
        "${open",
        "${bad name}",
        "${input:token}",
        "${env:TOKEN}",
        "http://127.0.0.1:9/mcp",
        "ftp://127.0.0.1/",
        "prefer",
        "1.0",
    ];
    let choices = [server::FIELDS, BEARER_FIELDS, OAUTH_FIELDS];
    for known in choices.iter().copied().flatten() {
        if let Form::Words(words) = known.form {
            texts.extend(words());
        }
    }
    samples.extend(texts.into_iter().map(Value::from));
    samples
}

#[test]
fn every_field_takes_the_same_values_here_and_there() {
    type Place = fn(&str, &Value) -> Value;
    fn with(mut object: Value, name: &str, value: &Value) -> Value {
        object[name] = value.clone();
        object
    }
    fn auth(auth: &Value) -> Value {
        in_file(&json!({"url": "http://127.0.0.1/", "auth": auth}))
    }
    let http: Place =
        |name, value| in_file(&with(json!({"url": "http://127.0.0.1/"}), name, value));
    let stdio: Place = |name, value| in_file(&with(json!({"command": "x"}), name, value));
    let places: [(&[Known], Place); 9] = [
        (file::FIELDS, |name, value| {
            with(json!({"mcpServers": {}}), name, value)
        }),
        (server::FIELDS, http),
        (HTTP_FIELDS, http),
        (server::FIELDS, stdio),
        (STDIO_FIELDS, stdio),
        (BEARER_FIELDS, |name, value| {
            auth(&with(json!({"type": "bearer", "token": "x"}), name, value))
        }),
        (COMMAND_FIELDS, |name, value| {
            auth(&with(
                json!({"type": "command", "command": ["x"]}),
                name,
                value,
            ))
        }),
        (OAUTH_FIELDS, |name, value| {
            auth(&with(json!({"type": "oauth"}), name, value))
        }),
        (IDP_FIELDS, |name, value| {
            auth(&json!({"type": "oauth", "idp": with(json!({}), name, value)}))
        }),
    ];
    let (validator, samples) = (validator(), samples());
    let (mut right, mut differ) = (0, Vec::new());
    for (table, place) in places {
        for known in table {
            for value in &samples {
                let file = place(known.name, value);
                let reads = reads(&file);
                if validator.is_valid(&file) != reads {
                    differ.push(format!("read: {reads}: {file}"));
                }
                right += usize::from(reads);
            }
        }
        // What nobody knows is nowhere right.
        let file = place("nonsense", &json!(1));
        assert!(!validator.is_valid(&file) && !reads(&file), "{file}");
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
    assert!(right > 300, "{right} of the files are right");
}

#[test]
fn the_two_kinds_of_servers_do_not_mix() {
    let validator = validator();
    for server in [
        json!({}),
        json!({"type": "http"}),
        json!({"type": "stdio", "url": "http://127.0.0.1/"}),
        json!({"type": "sse", "command": "x"}),
        json!({"url": "http://127.0.0.1/", "command": "x"}),
        json!({"url": "http://127.0.0.1/", "env": {}}),
        json!({"command": "x", "headers": {}}),
    ] {
        let file = in_file(&server);
        assert!(!validator.is_valid(&file) && !reads(&file), "{file}");
    }
    for file in [json!({}), json!([]), json!({"mcpServer": {}}), json!(null)] {
        assert!(!validator.is_valid(&file) && !reads(&file), "{file}");
    }
}

#[test]
fn files_as_people_have_them_are_right() {
    let validator = validator();
    for file in [
        json!({"$schema": "./mcp-config.schema.json", "allowedHosts": ["*.example.com"],
            "mcpServers": {"github": {"url": "https://api.example.com/mcp",
                "headers": {"Authorization": "Bearer ${GITHUB_TOKEN}", "X-Tenant": {"env": "TENANT"}},
                "toolTimeout": "30s"}}}),
        json!({"servers": {"files": {"type": "stdio", "command": "npx",
            "args": ["-y", "server-filesystem", "."], "env": {"TOKEN": {"file": "token"}},
            "envFrom": ["LANG"], "inheritEnv": false, "cwd": "sub"}}}),
        json!({"mcpServers": {
            "helper": {"url": "https://a.test/sse", "transport": "sse",
                "headersHelper": "helper --for 'one server'"},
            "command": {"url": "https://a.test/mcp", "type": "streamableHttp",
                "auth": {"type": "command", "command": ["prog", "arg"]}},
            "oauth": {"url": "https://a.test/mcp", "auth": {"type": "oauth",
                "grant": "enterprise", "subject_token": {"command": ["print-token"]},
                "scopes": ["a"], "dpop": "prefer",
                "idp": {"issuer": "https://idp.test", "client_id": "here"}}},
        }}),
    ] {
        let wrong: Vec<_> = validator
            .iter_errors(&file)
            .map(|it| it.to_string())
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
        assert!(reads(&file), "{file}");
    }
}

#[test]
fn the_copy_is_up_to_date() {
    let made = serde_json::to_string_pretty(&schema_for!(Config)).unwrap();
    // The file ends with a line break.
    let same = super::super::SCHEMA.trim_end() == made;
    assert!(same, "`cargo xtask schema` writes it anew");
}
