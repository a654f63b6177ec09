//! References in configuration files. A mistake is told without what was written: it may be a
//! secret in the wrong place.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::SecretRef;

const EXPECTED: &str =
    "a string, or an object with one of `env`, `file` and `command` (a list of strings)";

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Form)
    }
}

struct Form;

impl<'de> Visitor<'de> for Form {
    type Value = SecretRef;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<SecretRef, E> {
        SecretRef::template(text).map_err(E::custom)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<SecretRef, E> {
        Err(wrong("a boolean"))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<SecretRef, E> {
        Err(wrong("a number"))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<SecretRef, E> {
        Err(wrong("a number"))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<SecretRef, E> {
        Err(wrong("a number"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SecretRef, A::Error> {
        let mut found = None;
        let mut default = None;
        while let Some(key) = map.next_key::<String>()? {
            let one = match key.as_str() {
                "default" => {
                    default = Some(map.next_value::<Text>()?.0);
                    continue;
                }
                "env" => Source::Env(map.next_value::<Text>()?.0),
                "file" => Source::File(map.next_value::<Text>()?.0),
                "command" => Source::Command(map.next_value::<Words>()?.0),
                _ => return Err(wrong("an object with another field")),
            };
            if found.replace(one).is_some() {
                return Err(wrong("an object with several of them"));
            }
        }
        match (found, default) {
            (Some(Source::Env(name)), None) => SecretRef::env(name).map_err(A::Error::custom),
            (Some(Source::Env(name)), Some(default)) => {
                SecretRef::env_or(name, default).map_err(A::Error::custom)
            }
            (Some(Source::File(path)), None) => Ok(SecretRef::file(path)),
            (Some(Source::Command(words)), None) => command(words),
            (Some(_), Some(_)) => Err(wrong("a `default` beside something else than `env`")),
            (None, _) => Err(wrong("an object without any of them")),
        }
    }
}

enum Source {
    Env(String),
    File(String),
    Command(Vec<String>),
}

#[cfg(feature = "command")]
fn command<E: Error>(words: Vec<String>) -> Result<SecretRef, E> {
    let mut words = words.into_iter();
    match words.next() {
        Some(program) if !program.is_empty() => Ok(SecretRef::command(program, words)),
        _ => Err(E::custom("`command` names no program")),
    }
}

#[cfg(not(feature = "command"))]
fn command<E: Error>(_: Vec<String>) -> Result<SecretRef, E> {
    Err(E::custom("this build does not run commands for secrets"))
}

fn wrong<E: Error>(found: &str) -> E {
    E::custom(format_args!("found {found}, expected {EXPECTED}"))
}

/// A string whose mistakes are not shown.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer);
        text.map(Self)
            .map_err(|_| wrong("something that is not a string"))
    }
}

/// A list of strings whose mistakes are not shown.
struct Words(Vec<String>);

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Vec<String>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of strings")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<String>, A::Error> {
                let mut words = Vec::new();
                while let Some(Text(word)) = list.next_element()? {
                    words.push(word);
                }
                Ok(words)
            }
        }
        let words = deserializer.deserialize_seq(List);
        words
            .map(Self)
            .map_err(|_| wrong("a `command` that is not a list of strings"))
    }
}
