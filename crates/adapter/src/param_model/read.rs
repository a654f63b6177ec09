//! Reads fields out of a JSON Schema: in its order, within bounds, and past whatever is nonsense.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{ParamBounds, ParamField, ParamType};

/// Fields of one model, nested ones included. A schema with more is shown in part.
const MAX_FIELDS: usize = 2_000;

/// Objects within objects, and references on the way.
const MAX_DEPTH: usize = 16;

/// The fields of an object schema, and whether it takes others too.
pub(super) fn fields_of(schema: &str) -> (Vec<ParamField>, bool) {
    let Ok(root) = serde_json::from_str::<Keywords<'_>>(schema) else {
        return (Vec::new(), true);
    };
    let mut reader = Reader {
        root: &root,
        left: MAX_FIELDS,
    };
    let (node, depth) = reader.resolved(Cow::Borrowed(&root), 0);
    let open = node.read::<bool>("additionalProperties") != Some(false);
    (reader.fields(&node, depth), open)
}

/// An object of a schema, its keys in order, its values not looked into.
#[derive(Clone)]
struct Keywords<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Keywords<'a> {
    fn raw(&self, key: &str) -> Option<&'a RawValue> {
        let found = self.0.iter().rfind(|(name, _)| name == key);
        found.map(|(_, value)| *value)
    }

    /// A keyword's value; nothing where it is missing or of the wrong shape.
    fn read<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        serde_json::from_str(self.raw(key)?.get()).ok()
    }

    fn child(&self, key: &str) -> Option<Keywords<'a>> {
        serde_json::from_str(self.raw(key)?.get()).ok()
    }

    fn children(&self, key: &str) -> Option<Vec<&'a RawValue>> {
        serde_json::from_str(self.raw(key)?.get()).ok()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Keywords<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut entries = Vec::new();
                while let Some((Key(key), value)) = map.next_entry::<Key<'de>, _>()? {
                    entries.push((key, value));
                }
                Ok(entries)
            }
        }
        deserializer.deserialize_map(InOrder).map(Self)
    }
}

/// A key, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

struct Reader<'r, 'a> {
    root: &'r Keywords<'a>,
    left: usize,
}

impl<'a> Reader<'_, 'a> {
    fn fields(&mut self, node: &Keywords<'a>, depth: usize) -> Vec<ParamField> {
        let Some(properties) = node.child("properties").filter(|_| depth < MAX_DEPTH) else {
            return Vec::new();
        };
        let required: Vec<String> = node.read("required").unwrap_or_default();
        let mut fields = Vec::new();
        for (name, raw) in properties.0 {
            if self.left == 0 {
                break;
            }
            self.left -= 1;
            let required = required.iter().any(|known| *known == name);
            fields.push(self.field(name.into_owned(), raw, required, depth + 1));
        }
        fields
    }

    fn field(
        &mut self,
        name: String,
        raw: &'a RawValue,
        required: bool,
        depth: usize,
    ) -> ParamField {
        // `true` and `false` are schemas too; neither says anything of the value.
        let near = serde_json::from_str(raw.get()).unwrap_or(Keywords(Vec::new()));
        let (node, depth) = self.resolved(Cow::Borrowed(&near), depth);
        let own = |key| near.raw(key).or_else(|| node.raw(key));
        let text = |key| own(key).and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
        ParamField {
            name,
            required,
            kind: self.kind(&node, depth),
            default: own("default").and_then(|raw| serde_json::from_str(raw.get()).ok()),
            choices: choices(&node),
            description: text("description"),
            bounds: bounds(&node),
        }
    }

    fn kind(&mut self, node: &Keywords<'a>, depth: usize) -> ParamType {
        if depth >= MAX_DEPTH {
            return ParamType::Any;
        }
        if let Some(name) = node.read::<String>("type") {
            return self.named(&name, node, depth);
        }
        if let Some(names) = node.read::<Vec<String>>("type") {
            let kinds = names.iter().map(|name| self.named(name, node, depth));
            return union(kinds.collect());
        }
        for key in ["anyOf", "oneOf"] {
            let Some(branches) = node.children(key) else {
                continue;
            };
            let mut kinds = Vec::new();
            for branch in branches {
                if self.left == 0 {
                    break;
                }
                self.left -= 1;
                let branch = serde_json::from_str(branch.get()).unwrap_or(Keywords(Vec::new()));
                let (branch, depth) = self.resolved(Cow::Owned(branch), depth + 1);
                kinds.push(self.kind(&branch, depth));
            }
            return union(kinds);
        }
        if node.raw("properties").is_some() {
            return ParamType::Object(self.fields(node, depth));
        }
        union(choices(node).iter().map(kind_of).collect())
    }

    fn named(&mut self, name: &str, node: &Keywords<'a>, depth: usize) -> ParamType {
        match name {
            "null" => ParamType::Null,
            "boolean" => ParamType::Boolean,
            "integer" => ParamType::Integer,
            "number" => ParamType::Number,
            "string" => ParamType::String,
            "object" => ParamType::Object(self.fields(node, depth)),
            "array" => {
                let items = node.child("items").map_or(ParamType::Any, |items| {
                    let (items, depth) = self.resolved(Cow::Owned(items), depth + 1);
                    self.kind(&items, depth)
                });
                ParamType::Array(Box::new(items))
            }
            _ => ParamType::Any,
        }
    }

    /// Follows references within the schema (`#/…`); no other is ever followed.
    fn resolved<'n>(
        &self,
        node: Cow<'n, Keywords<'a>>,
        mut depth: usize,
    ) -> (Cow<'n, Keywords<'a>>, usize) {
        let mut node = node;
        while let Some(reference) = node.read::<String>("$ref") {
            let target = reference.strip_prefix('#').and_then(|path| self.at(path));
            let Some(target) = target.filter(|_| depth < MAX_DEPTH) else {
                break;
            };
            node = Cow::Owned(target);
            depth += 1;
        }
        (node, depth)
    }

    fn at(&self, pointer: &str) -> Option<Keywords<'a>> {
        if pointer.is_empty() {
            return Some(self.root.clone());
        }
        let mut steps = pointer.strip_prefix('/')?.split('/').map(|step| {
            let plain = step.replace("~1", "/").replace("~0", "~");
            plain.replace("%25", "%")
        });
        let mut here = self.root.child(&steps.next()?)?;
        for step in steps {
            here = here.child(&step)?;
        }
        Some(here)
    }
}

fn choices(node: &Keywords<'_>) -> Vec<Value> {
    match node.read::<Value>("const") {
        Some(only) => vec![only],
        None => node.read("enum").unwrap_or_default(),
    }
}

fn bounds(node: &Keywords<'_>) -> ParamBounds {
    ParamBounds {
        pattern: node.read("pattern"),
        format: node.read("format"),
        minimum: node.read("minimum"),
        maximum: node.read("maximum"),
        min_length: node.read("minLength"),
        max_length: node.read("maxLength"),
        min_items: node.read("minItems"),
        max_items: node.read("maxItems"),
    }
}

fn kind_of(value: &Value) -> ParamType {
    match value {
        Value::Null => ParamType::Null,
        Value::Bool(_) => ParamType::Boolean,
        Value::Number(number) if number.is_f64() => ParamType::Number,
        Value::Number(_) => ParamType::Integer,
        Value::String(_) => ParamType::String,
        Value::Array(_) => ParamType::Array(Box::new(ParamType::Any)),
        Value::Object(_) => ParamType::Object(Vec::new()),
    }
}

fn union(kinds: Vec<ParamType>) -> ParamType {
    let mut distinct: Vec<ParamType> = Vec::with_capacity(kinds.len());
    for kind in kinds {
        if !distinct.contains(&kind) {
            distinct.push(kind);
        }
    }
    match distinct.pop() {
        None => ParamType::Any,
        Some(only) if distinct.is_empty() => only,
        Some(last) => {
            distinct.push(last);
            ParamType::Union(distinct)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_in_order_and_tell_what_the_schema_tells() {
        let (fields, open) = fields_of(
            r##"{"type":"object","additionalProperties":false,"required":["zone","n"],
            "$defs":{"Place":{"type":"object","required":["city"],"properties":{
                "city":{"type":"string","minLength":1},"zip":{"anyOf":[{"type":"string"},{"type":"null"}],
                "default":null}}}},
            "properties":{
                "zone":{"enum":["a","b"],"description":"which"},
                "n":{"type":"integer","minimum":1,"maximum":5,"default":2},
                "tags":{"type":"array","items":{"type":"string"}},
                "place":{"$ref":"#/$defs/Place","description":"where"},
                "any":true}}"##,
        );
        assert!(!open);
        let shown: Vec<_> = fields
            .iter()
            .map(|field| format!("{}:{}:{}", field.name, field.kind, field.required))
            .collect();
        assert_eq!(
            shown,
            [
                "zone:string:true",
                "n:integer:true",
                "tags:array of string:false",
                "place:object:false",
                "any:any:false"
            ]
        );
        assert_eq!(fields[0].choices, ["a", "b"]);
        assert_eq!(fields[1].default, Some(2.into()));
        assert_eq!(fields[1].bounds.maximum, Some(5.0));
        assert_eq!(fields[3].description.as_deref(), Some("where"));
        let ParamType::Object(place) = &fields[3].kind else {
            panic!("{:?}", fields[3].kind)
        };
        assert!(place[0].required);
        assert_eq!(place[0].bounds.min_length, Some(1));
        assert_eq!(place[1].kind.to_string(), "string or null");
        assert_eq!(place[1].default, Some(Value::Null));
    }

    #[test]
    fn hostile_schemas_end() {
        let (fields, _) = fields_of(
            r##"{"properties":{"self":{"$ref":"#"},"loop":{"$ref":"#/$defs/a"},
            "far":{"$ref":"https://example.com/x"}},
            "$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}}}"##,
        );
        assert_eq!(fields.len(), 3);
        let wide: Vec<_> = (0..100_000).map(|n| format!(r#""p{n}":{{}}"#)).collect();
        let wide = wide.join(",");
        let (fields, _) = fields_of(&format!(r#"{{"properties":{{{wide}}}}}"#));
        assert_eq!(fields.len(), MAX_FIELDS);
        // Each level names the next one twice: 2^n fields without a bound.
        let doubling: Vec<_> = (0..40)
            .map(|n| {
                let next = format!(r##"{{"$ref":"#/$defs/{}"}}"##, n + 1);
                format!(r#""{n}":{{"properties":{{"a":{next},"b":{next}}}}}"#)
            })
            .collect();
        let schema = format!(
            r##"{{"$ref":"#/$defs/0","$defs":{{{}}}}}"##,
            doubling.join(",")
        );
        assert_eq!(fields_of(&schema).0.len(), 2);
    }

    #[test]
    fn nonsense_is_passed_over() {
        let (fields, open) = fields_of(
            r#"{"properties":{"a":{"type":7,"required":true,"enum":"x","minimum":"0"},"b":5},
            "required":"a"}"#,
        );
        assert!(open);
        assert_eq!(fields.len(), 2);
        assert_eq!(fields[0].kind, ParamType::Any);
        assert!(!fields[0].required);
        assert!(fields_of("[]").0.is_empty());
    }
}
