//! The parameters of a request that a caller wrote, with the metadata that the version wants.

use serde::ser::{Error as _, SerializeMap as _};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::wire::RequestMeta;

/// What a caller asks with. Its `_meta` is kept and completed.
#[derive(Debug)]
pub(super) struct Params<'a> {
    pub(super) fields: &'a Map<String, Value>,
    pub(super) meta: RequestMeta<'a>,
}

impl Serialize for Params<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in self.fields.iter().filter(|(key, _)| *key != "_meta") {
            map.serialize_entry(key, value)?;
        }
        match self.fields.get("_meta").and_then(Value::as_object) {
            None if self.meta.is_empty() => {}
            None => map.serialize_entry("_meta", &self.meta)?,
            Some(own) => map.serialize_entry("_meta", &MetaOver::new(own, self.meta))?,
        }
        map.end()
    }
}

/// A caller's own metadata with the protocol's over it, each key once. For transports.
#[derive(Clone, Copy, Debug)]
pub struct MetaOver<'a> {
    own: &'a Map<String, Value>,
    meta: RequestMeta<'a>,
}

impl<'a> MetaOver<'a> {
    /// What the caller wrote, and what the version wants.
    pub fn new(own: &'a Map<String, Value>, meta: RequestMeta<'a>) -> Self {
        Self { own, meta }
    }
}

impl Serialize for MetaOver<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut merged = self.own.clone();
        if let Value::Object(meta) = serde_json::to_value(self.meta).map_err(S::Error::custom)? {
            merged.extend(meta);
        }
        merged.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ProtocolVersion;
    use crate::wire::ClientIdentity;
    use serde_json::json;

    #[test]
    fn the_callers_metadata_is_kept_and_the_protocols_wins() {
        let fields = json!({"uri": "a:1", "_meta": {"own/key": 1, "progressToken": "mine"}});
        let fields = fields.as_object().unwrap();
        let (client, none) = (ClientIdentity::default(), json!({}));
        let meta = RequestMeta::new(ProtocolVersion::V2025_11_25, &client, &none, None);
        let write = |meta| serde_json::to_string(&Params { fields, meta }).unwrap();
        assert_eq!(
            write(meta.with_progress_token(7)),
            r#"{"uri":"a:1","_meta":{"own/key":1,"progressToken":7}}"#
        );
        assert_eq!(
            write(meta),
            r#"{"uri":"a:1","_meta":{"own/key":1,"progressToken":"mine"}}"#
        );
    }
}
