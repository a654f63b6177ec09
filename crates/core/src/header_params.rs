//! Arguments that a tool wants mirrored in HTTP headers (`x-mcp-header`).

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::InvalidDefinition;

/// The annotation, as it stands on a property of `inputSchema`.
const ANNOTATION: &str = "x-mcp-header";

/// What precedes the annotation's value in the header's name.
const PREFIX: &str = "mcp-param-";

/// Integers beyond this cannot be told apart by every reader of JSON.
const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// Which arguments of a tool are mirrored in which headers (2026-07-28, basic/transports/
/// streamable-http and server/tools).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HeaderParams(Box<[HeaderParam]>);

#[derive(Clone, Debug, Eq, PartialEq)]
struct HeaderParam {
    /// The header's name, in lower case.
    header: Box<str>,
    /// The property names from the root to the argument.
    path: Box<[Box<str>]>,
}

impl HeaderParams {
    /// Whether a text may hold an annotation at all: a quick look before a thorough one.
    pub fn may_be_in(text: &str) -> bool {
        // Lists are long: this looks at many bytes at once.
        memchr::memmem::find(text.as_bytes(), ANNOTATION.as_bytes()).is_some()
    }

    /// Reads the annotations of an input schema.
    ///
    /// # Errors
    /// When one is not a header name, stands twice, sits on a property that is not a string,
    /// integer or boolean, or where `properties` alone do not lead: the tool must not be offered
    /// over HTTP then.
    pub fn parse(input_schema: &str) -> Result<Self, InvalidDefinition> {
        if !Self::may_be_in(input_schema) {
            return Ok(Self::default());
        }
        let schema: Value = serde_json::from_str(input_schema)
            .map_err(|error| InvalidDefinition::unreadable(&error))?;
        let mut found = Collected::default();
        found.schema(&schema, true)?;
        Ok(Self(found.params.into_boxed_slice()))
    }

    /// Whether nothing is mirrored.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Header names, in lower case, and their values, not yet encoded. Arguments that are absent
    /// or `null` have no header.
    pub fn of<'p>(
        &'p self,
        arguments: &'p Map<String, Value>,
    ) -> impl Iterator<Item = (&'p str, Cow<'p, str>)> {
        self.0.iter().filter_map(|param| {
            let (first, rest) = param.path.split_first()?;
            let value = rest
                .iter()
                .try_fold(arguments.get(&**first)?, |value, key| value.get(&**key))?;
            Some((&*param.header, text(value)?))
        })
    }
}

/// The value as a header says it; `None` for what is not mirrored.
fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Bool(flag) => Some(Cow::Borrowed(if *flag { "true" } else { "false" })),
        Value::Number(number) => {
            let safe = number
                .as_i64()
                .is_some_and(|integer| integer.unsigned_abs() <= MAX_SAFE_INTEGER);
            if safe || !number.is_f64() {
                return Some(Cow::Owned(number.to_string()));
            }
            // `42.0` is an integer in JSON Schema and is written without its fraction.
            let float = number.as_f64().filter(|float| float.fract() == 0.0)?;
            Some(Cow::Owned(format!("{float:.0}")))
        }
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[derive(Default)]
struct Collected {
    params: Vec<HeaderParam>,
    names: HashSet<String>,
    path: Vec<Box<str>>,
}

impl Collected {
    /// Walks a schema; `reached` says that `properties` alone led here. Depth is bounded by the
    /// parser that made the value.
    fn schema(&mut self, schema: &Value, reached: bool) -> Result<(), InvalidDefinition> {
        match schema {
            Value::Array(schemas) => schemas
                .iter()
                .try_for_each(|schema| self.schema(schema, false)),
            Value::Object(keywords) => {
                if let Some(annotation) = keywords.get(ANNOTATION) {
                    self.annotated(keywords, annotation, reached)?;
                }
                keywords
                    .iter()
                    .try_for_each(|(keyword, value)| self.keyword(keyword, value, reached))
            }
            _ => Ok(()),
        }
    }

    fn keyword(
        &mut self,
        keyword: &str,
        value: &Value,
        reached: bool,
    ) -> Result<(), InvalidDefinition> {
        match (keyword, value) {
            // Data and names, not schemas.
            ("default" | "const" | "enum" | "examples" | "dependentRequired", _) => Ok(()),
            ("properties", Value::Object(properties)) => {
                properties.iter().try_for_each(|(name, schema)| {
                    self.path.push(name.as_str().into());
                    let walked = self.schema(schema, reached);
                    self.path.pop();
                    walked
                })
            }
            // Maps whose keys are names; an annotation's name may be one of them.
            (
                "$defs" | "definitions" | "dependentSchemas" | "dependencies" | "patternProperties",
                Value::Object(schemas),
            ) => schemas
                .values()
                .try_for_each(|schema| self.schema(schema, false)),
            _ => self.schema(value, false),
        }
    }

    fn annotated(
        &mut self,
        keywords: &Map<String, Value>,
        annotation: &Value,
        reached: bool,
    ) -> Result<(), InvalidDefinition> {
        let invalid = |problem: &str| {
            let at = self.path.join(".");
            Err(InvalidDefinition::new(format!(
                "`{ANNOTATION}` at `{at}` {problem}"
            )))
        };
        if !reached || self.path.is_empty() {
            return invalid("is not on a property that `properties` alone lead to");
        }
        let Value::String(name) = annotation else {
            return invalid("is not a string");
        };
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(token) {
            return invalid("is not a header name");
        }
        let kind = keywords.get("type").and_then(Value::as_str);
        if !matches!(kind, Some("string" | "integer" | "boolean")) {
            return invalid("is on a property that is not a string, integer or boolean");
        }
        let header = format!("{PREFIX}{}", name.to_ascii_lowercase());
        if !self.names.insert(header.clone()) {
            return invalid("repeats another one");
        }
        self.params.push(HeaderParam {
            header: header.into(),
            path: self.path.clone().into_boxed_slice(),
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn headers(schema: &Value, arguments: &Value) -> Vec<(String, String)> {
        let params = HeaderParams::parse(&schema.to_string()).unwrap();
        params
            .of(arguments.as_object().unwrap())
            .map(|(name, value)| (name.to_owned(), value.into_owned()))
            .collect()
    }

    #[test]
    fn arguments_are_found_by_their_path() {
        let schema = json!({"type": "object", "properties": {
            "site": {"type": "string", "x-mcp-header": "Site"},
            "where": {"type": "object", "properties": {
                "seats": {"type": "integer", "x-mcp-header": "Seats"}}},
            "quiet": {"type": "boolean", "x-mcp-header": "Quiet"},
            "note": {"type": "string", "x-mcp-header": "Note"},
            "gone": {"type": "string", "x-mcp-header": "Gone"},
            "plain": {"type": "string"}}});
        let arguments = json!({"site": "Zürich", "where": {"seats": 4.0}, "quiet": false,
            "note": null, "plain": "x"});
        let mut found = headers(&schema, &arguments);
        found.sort();
        let expected = [
            ("mcp-param-quiet", "false"),
            ("mcp-param-seats", "4"),
            ("mcp-param-site", "Zürich"),
        ];
        assert_eq!(
            found,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }

    #[test]
    fn a_property_may_be_called_like_the_annotation() {
        let schema = json!({"properties": {"x-mcp-header": {"type": "string"}}});
        assert!(HeaderParams::parse(&schema.to_string()).unwrap().is_empty());
        let data = json!({"properties": {"a": {"default": {"x-mcp-header": 5}}}});
        assert!(HeaderParams::parse(&data.to_string()).unwrap().is_empty());
    }

    #[test]
    fn invalid_annotations_are_refused() {
        let with =
            |value: Value| json!({"properties": {"a": {"type": "string", "x-mcp-header": value}}});
        for schema in [
            with(json!("")),
            with(json!(5)),
            with(json!("a b")),
            with(json!("a:b")),
            with(json!("a\r\nb")),
            with(json!("é")),
            json!({"x-mcp-header": "Root", "type": "string"}),
            json!({"properties": {"a": {"type": "number", "x-mcp-header": "A"}}}),
            json!({"properties": {"a": {"type": ["string", "null"], "x-mcp-header": "A"}}}),
            json!({"properties": {"a": {"x-mcp-header": "A"}}}),
            json!({"properties": {
                "a": {"type": "string", "x-mcp-header": "A"},
                "b": {"type": "string", "x-mcp-header": "a"}}}),
            json!({"properties": {"l": {"type": "array",
                "items": {"type": "string", "x-mcp-header": "A"}}}}),
            json!({"anyOf": [{"properties": {"a": {"type": "string", "x-mcp-header": "A"}}}]}),
            json!({"$defs": {"d": {"type": "string", "x-mcp-header": "A"}}}),
        ] {
            assert!(
                HeaderParams::parse(&schema.to_string()).is_err(),
                "{schema}"
            );
        }
    }
}
