//! What a schema may cost: the bounds within which one is compiled.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

/// The longest schema that is compiled, in bytes.
const MAX_BYTES: usize = 1 << 20;

/// Values in a schema.
const MAX_VALUES: usize = 50_000;

/// Regular expressions in a schema. Times [`REGEX_BYTES`] they bound what one tool can hold.
const MAX_PATTERNS: usize = 64;

/// What one compiled regular expression may take, in bytes.
pub(super) const REGEX_BYTES: usize = 1 << 20;

/// Subschemas that one value may have to be checked against, references followed. Beyond it a few
/// lines of schema could keep a processor busy for years.
const MAX_CHECKS: u64 = 100_000;

/// How often one value within the arguments may be checked because several parts of a schema look at
/// the same field of its parent, and several at theirs, and so on.
const MAX_VISITS: u64 = 1_000_000;

/// Subschemas looked at to find that out.
const MAX_STEPS: usize = 1_000_000;

/// Checks that need only the length.
pub(super) fn check_text(schema: &str) -> Result<(), String> {
    if schema.len() > MAX_BYTES {
        return Err(format!("the schema is longer than {MAX_BYTES} bytes"));
    }
    Ok(())
}

/// Checks the size of a schema, and that checking a value against it comes to an end.
///
/// Gives how deep the arguments may be nested, if that has to be limited: a schema in which `k` parts
/// look at the same field checks what is `d` levels down up to `k^d` times.
pub(super) fn check(schema: &Value) -> Result<Option<usize>, String> {
    let mut size = Size::default();
    size.add(schema, false);
    if size.values > MAX_VALUES {
        return Err(format!("the schema has more than {MAX_VALUES} values"));
    }
    if size.patterns > MAX_PATTERNS {
        return Err(format!(
            "the schema has more than {MAX_PATTERNS} regular expressions"
        ));
    }
    if size.dynamic {
        return Err("the schema has dynamic references".to_owned());
    }
    let mut checks = Checks {
        root: schema,
        anchors: &size.anchors,
        known: HashMap::new(),
        open: HashSet::new(),
    };
    // References go to any subschema, so every one that has something to expand is counted.
    for target in &size.schemas {
        if checks.of(target)? > MAX_CHECKS {
            return Err("the schema checks one value too often".to_owned());
        }
    }
    let mut widest = 1;
    let mut steps = 0;
    for target in &size.schemas {
        widest = checks.visits_of_a_field(target, &mut steps)?.max(widest);
    }
    Ok((widest > 1).then(|| MAX_VISITS.ilog(widest) as usize))
}

/// How many levels of arrays and objects a value has. Depth is bounded by who made the value.
pub(super) fn depth_of(value: &Value) -> usize {
    match value {
        Value::Object(object) => 1 + object.values().map(depth_of).max().unwrap_or_default(),
        Value::Array(items) => 1 + items.iter().map(depth_of).max().unwrap_or_default(),
        _ => 0,
    }
}

#[derive(Default)]
struct Size<'s> {
    values: usize,
    patterns: usize,
    dynamic: bool,
    anchors: HashMap<&'s str, &'s Value>,
    /// Objects that have a `$ref` or other subschemas for the same value.
    schemas: Vec<&'s Value>,
}

impl<'s> Size<'s> {
    /// Depth is bounded by the parser that made the value.
    fn add(&mut self, value: &'s Value, pattern_keys: bool) {
        self.values += 1;
        match value {
            Value::Object(map) => {
                if pattern_keys {
                    self.patterns += map.len();
                }
                if in_place(value).next().is_some()
                    || map.contains_key("$ref")
                    || map.contains_key("patternProperties")
                    || map.contains_key("contains")
                {
                    self.schemas.push(value);
                }
                for (key, child) in map {
                    match key.as_str() {
                        "pattern" if child.is_string() => self.patterns += 1,
                        "$dynamicRef" | "$recursiveRef" if child.is_string() => self.dynamic = true,
                        // Ids and anchors; draft-07 names subschemas by `$id: "#name"`.
                        "$anchor" | "$id" | "id" => {
                            if let Some(name) = child.as_str() {
                                self.anchors.insert(name, value);
                            }
                        }
                        _ => {}
                    }
                    self.add(child, key == "patternProperties");
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.add(item, false)),
            _ => {}
        }
    }
}

/// Counts how many subschemas a value is checked against, without going down into the value.
struct Checks<'s> {
    root: &'s Value,
    anchors: &'s HashMap<&'s str, &'s Value>,
    known: HashMap<*const Value, u64>,
    /// Those being counted: to meet one again is a schema that never goes down.
    open: HashSet<*const Value>,
}

impl<'s> Checks<'s> {
    fn of(&mut self, schema: &'s Value) -> Result<u64, String> {
        let key: *const Value = schema;
        if let Some(&known) = self.known.get(&key) {
            return Ok(known);
        }
        // The chain of references can be as long as the schema; the stack is not.
        if self.open.len() > 256 {
            return Err("the schema has a chain of more than 256 references".to_owned());
        }
        if !self.open.insert(key) {
            return Err("the schema refers to itself without end".to_owned());
        }
        let mut checks = 1_u64;
        for child in in_place(schema) {
            checks = checks.saturating_add(self.of(child)?);
        }
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str)
            && let Some(target) = self.target(reference)
        {
            checks = checks.saturating_add(self.of(target)?);
        }
        self.open.remove(&key);
        self.known.insert(key, checks);
        Ok(checks)
    }

    /// How many subschemas look at one field, or one item, of a value that is checked against this
    /// schema.
    fn visits_of_a_field(&self, schema: &'s Value, steps: &mut usize) -> Result<u64, String> {
        let mut fields: HashMap<&str, i64> = HashMap::new();
        let (mut any_field, mut any_item) = (0_i64, 0_i64);
        let mut open = vec![schema];
        // Ends: a schema that leads back to itself was refused before.
        while let Some(part) = open.pop() {
            *steps += 1;
            if *steps > MAX_STEPS {
                return Err("the schema is too entangled".to_owned());
            }
            let has = |key: &str| part.get(key).is_some_and(Value::is_object);
            let others = has("additionalProperties") || has("unevaluatedProperties");
            if let Some(named) = part.get("properties").and_then(Value::as_object) {
                for name in named.keys() {
                    // What is named is not one of the others.
                    *fields.entry(name).or_default() += i64::from(!others);
                }
            }
            let patterns = part.get("patternProperties").and_then(Value::as_object);
            any_field += i64::try_from(patterns.map_or(0, serde_json::Map::len)).unwrap_or(0);
            any_field += i64::from(others);
            any_item += i64::from(part.get("items").is_some() || part.get("prefixItems").is_some());
            any_item += i64::from(has("contains")) + i64::from(has("unevaluatedItems"));
            open.extend(in_place(part));
            let reference = part.get("$ref").and_then(Value::as_str);
            open.extend(reference.and_then(|reference| self.target(reference)));
        }
        let named = fields.into_values().max().unwrap_or_default();
        Ok(u64::try_from((named + any_field).max(any_item)).unwrap_or(1))
    }

    /// The target of a reference, read generously: by its fragment, and by any id that it could
    /// mean. One that is not found here is not found by the validator either.
    fn target(&self, reference: &str) -> Option<&'s Value> {
        let (id, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let base = if id.is_empty() {
            self.root
        } else {
            self.anchors.iter().find_map(|(name, value)| {
                let known = name.trim_end_matches('#');
                (known == id || known.ends_with(&format!("/{}", id.trim_start_matches('/'))))
                    .then_some(*value)
            })?
        };
        if fragment.is_empty() {
            return Some(base);
        }
        if !fragment.starts_with('/') {
            let named = self.anchors.get(fragment);
            return named
                .or_else(|| self.anchors.get(format!("#{fragment}").as_str()))
                .copied();
        }
        base.pointer(&percent_decoded(fragment))
    }
}

/// The subschemas that see the same value as their parent.
fn in_place(schema: &Value) -> impl Iterator<Item = &Value> {
    let of = |key: &str| schema.get(key);
    let lists = ["allOf", "anyOf", "oneOf"].into_iter().filter_map(of);
    let singles = ["not", "if", "then", "else"].into_iter().filter_map(of);
    let maps = ["dependentSchemas", "dependencies"]
        .into_iter()
        .filter_map(of);
    lists
        .filter_map(Value::as_array)
        .flatten()
        .chain(singles)
        .chain(
            maps.filter_map(Value::as_object)
                .flat_map(|map| map.values()),
        )
        .filter(|child| child.is_object())
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let hex = tail
            .get(..2)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        match hex.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if first == b'%' => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
