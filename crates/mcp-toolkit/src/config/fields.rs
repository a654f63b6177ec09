//! An object of the file, field by field: what is read is checked, what is left is unknown.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mcp_auth::SecretRef;
use mcp_http::AllowedHosts;
use serde::Deserialize;

use super::error::{ConfigError, ConfigWarning, Place};
use super::json::{Node, Shape};
use super::nearest::nearest;
use super::secret::ConfiguredSecret;
use super::table::{Known, foreign, foreign_reference};

/// The fields of an object that have not been read yet.
pub(crate) struct Fields<'a> {
    entries: Vec<Field<'a>>,
    known: Tables,
}

/// The tables whose fields an object may have.
type Tables = &'static [&'static [Known]];

/// One field, and where it stands.
#[derive(Clone)]
pub(crate) struct Field<'a> {
    name: String,
    node: Node<'a>,
    place: Place,
}

impl<'a> Fields<'a> {
    /// The fields of the object at this place; warns of those that nobody knows. A field that is
    /// `null` counts as absent.
    pub(crate) fn of(
        node: Node<'a>,
        place: &Place,
        known: Tables,
        warnings: &mut Vec<ConfigWarning>,
    ) -> Result<Self, ConfigError> {
        let object = Field {
            name: String::new(),
            node,
            place: Place {
                line: Some(node.line()),
                ..place.clone()
            },
        };
        let mut entries = object.entries()?;
        for field in entries.iter().filter(|field| !knows(known, &field.name)) {
            let place = field.place.clone();
            warnings.push(match foreign(&field.name) {
                Some(instead) => ConfigWarning::new(place, instead),
                None => ConfigWarning::unknown_field(place, &field.name, names(known)),
            });
        }
        entries.retain(|field| field.node.shape() != Shape::Null);
        Ok(Self { entries, known })
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|field| field.name == name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|field| field.name.as_str())
    }

    pub(crate) fn nodes(&self) -> impl Iterator<Item = (&str, Node<'a>)> {
        let all = self.entries.iter();
        all.map(|field| (field.name.as_str(), field.node))
    }

    /// Takes a field out, if it is there.
    pub(crate) fn take(&mut self, name: &str) -> Option<Field<'a>> {
        debug_assert!(knows(self.known, name), "{name}");
        let index = self.entries.iter().position(|field| field.name == name)?;
        Some(self.entries.remove(index))
    }

    /// Takes a field out and reads it.
    pub(crate) fn read<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&Field<'a>) -> Result<T, ConfigError>,
    ) -> Result<Option<T>, ConfigError> {
        self.take(name).map(|field| read(&field)).transpose()
    }

    /// Warns of known fields that nobody asked for.
    pub(crate) fn finish(self, warnings: &mut Vec<ConfigWarning>) {
        let left = self.entries.into_iter();
        for field in left.filter(|field| knows(self.known, &field.name)) {
            let problem = "has no effect on a server of this type";
            warnings.push(ConfigWarning::new(field.place, problem));
        }
    }
}

fn names(tables: Tables) -> impl Iterator<Item = &'static str> {
    tables.iter().copied().flatten().map(|known| known.name)
}

fn knows(tables: Tables, name: &str) -> bool {
    names(tables).any(|known| known == name)
}

impl<'a> Field<'a> {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn node(&self) -> Node<'a> {
        self.node
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// A mistake in this field.
    pub(crate) fn wrong(&self, problem: impl Into<String>) -> ConfigError {
        ConfigError::new(self.place.clone(), problem.into())
    }

    /// Whether it is, or holds, a reference to a secret.
    pub(crate) fn is_reference(&self) -> bool {
        match self.node.shape() {
            Shape::Object => true,
            Shape::String => self.node.string().is_some_and(|text| text.contains("${")),
            _ => false,
        }
    }

    pub(crate) fn string(&self) -> Result<String, ConfigError> {
        self.node.string().ok_or_else(|| self.expected("a string"))
    }

    /// A string that has something in it and no secret reference.
    pub(crate) fn plain(&self) -> Result<String, ConfigError> {
        let text = self.string()?;
        if text.trim().is_empty() {
            return Err(self.wrong("is empty"));
        }
        if self.is_reference() {
            return Err(self.wrong(
                "a reference is replaced in `headers`, `env` and `auth` only; write the value itself",
            ));
        }
        Ok(text)
    }

    pub(crate) fn boolean(&self) -> Result<bool, ConfigError> {
        let found = self.node.boolean();
        found.ok_or_else(|| self.expected("`true` or `false`"))
    }

    pub(crate) fn strings(&self) -> Result<Vec<String>, ConfigError> {
        self.items()?.iter().map(Field::string).collect()
    }

    /// Host names, such as `api.example.com` and `*.example.com`.
    pub(crate) fn hosts(&self) -> Result<AllowedHosts, ConfigError> {
        let mut all = Vec::new();
        for item in self.items()? {
            let host = item.plain()?;
            AllowedHosts::new([&host]).map_err(|error| item.wrong(error.to_string()))?;
            all.push(host);
        }
        AllowedHosts::new(all).map_err(|error| self.wrong(error.to_string()))
    }

    /// A whole number from 1.
    pub(crate) fn count(&self) -> Result<usize, ConfigError> {
        if self.node.shape() != Shape::Number {
            return Err(self.expected("a whole number"));
        }
        let count = self.node.raw().parse::<u32>().ok();
        count
            .filter(|count| *count > 0)
            .and_then(|count| count.try_into().ok())
            .ok_or_else(|| self.wrong("must be a whole number from 1"))
    }

    /// A time such as `30s` or `1m 30s`.
    pub(crate) fn duration(&self) -> Result<Duration, ConfigError> {
        let text = self.node.string();
        let is_bare = |text: &str| text.trim().parse::<f64>().is_ok();
        if self.node.shape() == Shape::Number || text.as_deref().is_some_and(is_bare) {
            return Err(self.wrong("has no unit; write a time such as `\"30s\"` or `\"500ms\"`"));
        }
        text.and_then(|text| humantime::parse_duration(&text).ok())
            .filter(|duration| !duration.is_zero())
            .ok_or_else(|| self.wrong("is not a time such as `30s` or `500ms`"))
    }

    /// A program and its arguments: a list, or one text that is split as a shell splits words.
    pub(crate) fn command_line(&self) -> Result<Vec<String>, ConfigError> {
        let words = match self.node.shape() {
            Shape::String => shlex::split(&self.string()?)
                .ok_or_else(|| self.wrong("has a quote that is not closed"))?,
            Shape::Array => self.strings()?,
            _ => return Err(self.expected("a list of strings, or a string")),
        };
        match words.first() {
            Some(program) if !program.is_empty() => Ok(words),
            _ => Err(self.wrong("names no program")),
        }
    }

    pub(crate) fn secret(&self) -> Result<ConfiguredSecret, ConfigError> {
        if let Some(instead) = self.node.string().as_deref().and_then(foreign_reference) {
            return Err(self.wrong(instead));
        }
        // Read from a tree, whose errors have no line of their own.
        let tree: Result<serde_json::Value, _> = serde_json::from_str(self.node.raw());
        let reference = tree
            .and_then(SecretRef::deserialize)
            .map_err(|error| self.wrong(error.to_string()))?;
        // Relative paths start at the folder of the file that they stand in.
        let folder = self.place.file.as_deref().and_then(Path::parent);
        let reference = match (folder, reference.path()) {
            (Some(folder), Some(path)) => SecretRef::file(folder.join(path)),
            _ => reference,
        };
        Ok(ConfiguredSecret::at(reference, self.place.clone()))
    }

    /// An object from names to secrets, such as `headers`.
    pub(crate) fn secrets(&self) -> Result<Vec<(String, ConfiguredSecret)>, ConfigError> {
        let entries = self.entries()?;
        let read = |field: &Field<'_>| Ok((field.name.clone(), field.secret()?));
        entries.iter().map(read).collect()
    }

    /// One of several words.
    pub(crate) fn one_of<T: Copy>(
        &self,
        words: &'static [(&'static str, T)],
    ) -> Result<T, ConfigError> {
        let text = self.string()?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Ok(*value);
        }
        let names = words.iter().map(|(word, _)| *word);
        let known: Vec<_> = names.clone().map(|word| format!("`{word}`")).collect();
        let known = known.join(", ");
        Err(match nearest(&text, names) {
            Some(near) => self.wrong(format!("did you mean `{near}`? It is one of {known}")),
            None => self.wrong(format!("is not one of {known}")),
        })
    }

    /// The fields of an object; one that is given twice is a mistake.
    pub(crate) fn entries(&self) -> Result<Vec<Self>, ConfigError> {
        let entries = self.node.entries();
        let entries = entries.ok_or_else(|| self.expected("an object"))?;
        let mut fields: Vec<Self> = Vec::with_capacity(entries.len());
        for (name, node) in entries {
            let field = self.inner(&name, node);
            if fields.iter().any(|known| known.name == name) {
                return Err(field.wrong("is given twice"));
            }
            fields.push(field);
        }
        Ok(fields)
    }

    pub(crate) fn items(&self) -> Result<Vec<Self>, ConfigError> {
        let items = self.node.items();
        let items = items.ok_or_else(|| self.expected("a list"))?;
        let fields = items.into_iter().enumerate();
        Ok(fields
            .map(|(index, node)| self.inner(&index.to_string(), node))
            .collect())
    }

    fn inner(&self, name: &str, node: Node<'a>) -> Self {
        let path: Arc<str> = match &self.place.field {
            Some(outer) => format!("{outer}.{name}").into(),
            None => name.into(),
        };
        Self {
            name: name.to_owned(),
            node,
            place: Place {
                line: Some(node.line()),
                field: Some(path),
                ..self.place.clone()
            },
        }
    }

    fn expected(&self, expected: &str) -> ConfigError {
        let found = self.node.shape();
        self.wrong(format!("must be {expected}, and is {found}"))
    }
}
