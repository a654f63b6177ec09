//! A digest of arguments that does not depend on the order of keys.

use blake3::Hasher;
use serde_json::{Map, Value};

/// 32 hexadecimal digits.
pub(super) fn of(key: &[u8; 32], arguments: &Map<String, Value>) -> String {
    let mut hasher = Hasher::new_keyed(key);
    add_object(&mut hasher, arguments);
    let digest = hasher.finalize().to_hex();
    digest.as_str().get(..32).unwrap_or_default().to_owned()
}

/// Each part begins with its kind and length, so that no two values write the same bytes.
fn add(hasher: &mut Hasher, value: &Value) {
    match value {
        Value::Object(object) => add_object(hasher, object),
        Value::Array(items) => {
            hasher.update(b"[");
            hasher.update(&(items.len() as u64).to_le_bytes());
            for item in items {
                add(hasher, item);
            }
        }
        Value::String(text) => add_text(hasher, b"\"", text),
        scalar => add_text(hasher, b"=", &scalar.to_string()),
    }
}

fn add_object(hasher: &mut Hasher, object: &Map<String, Value>) {
    let mut entries: Vec<_> = object.iter().collect();
    entries.sort_unstable_by_key(|(key, _)| key.as_str());
    hasher.update(b"{");
    hasher.update(&(entries.len() as u64).to_le_bytes());
    for (key, value) in entries {
        add_text(hasher, b":", key);
        add(hasher, value);
    }
}

fn add_text(hasher: &mut Hasher, kind: &[u8], text: &str) {
    hasher.update(kind);
    hasher.update(&(text.len() as u64).to_le_bytes());
    hasher.update(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_arguments_have_equal_digests() {
        let digest = |key: u8, text: &str| of(&[key; 32], &serde_json::from_str(text).unwrap());
        assert_eq!(
            digest(1, r#"{"a":1,"b":[2]}"#),
            digest(1, r#"{"b":[2],"a":1}"#)
        );
        assert_ne!(digest(1, r#"{"a":1}"#), digest(2, r#"{"a":1}"#));
        assert_ne!(
            digest(1, r#"{"a":["b","c"]}"#),
            digest(1, r#"{"a":["bc"]}"#)
        );
        assert_ne!(digest(1, r#"{"a":1}"#), digest(1, r#"{"a":"1"}"#));
        assert_eq!(digest(1, "{}").len(), 32);
    }
}
