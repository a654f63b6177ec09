//! What all users of a tool share: its definition, and what is worked out from it once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, LazyLock, OnceLock, Weak};

use ahash::RandomState;
use mcp_core::{Error, ToolDefinition};
use parking_lot::Mutex;
use serde_json::Value;

use crate::ParamModel;
use crate::param_model::ModelKind;
use crate::validation::Validation;

/// Definitions beyond this many are not shared; nothing else changes for them.
const MAX_SHARED: usize = 1 << 18;

/// A definition, and what is worked out from it when somebody asks.
#[derive(Debug)]
pub(crate) struct SharedTool {
    definition: Arc<ToolDefinition>,
    kind: ModelKind,
    // Boxed, because most tools of most lists are never called.
    worked_out: OnceLock<Box<WorkedOut>>,
}

/// The parameter model and the compiled schemas, each made at first use.
#[derive(Debug, Default)]
struct WorkedOut {
    param_model_name: OnceLock<Box<str>>,
    param_model: OnceLock<ParamModel>,
    validation: OnceLock<Validation>,
    output_validation: OnceLock<Option<Validation>>,
}

impl SharedTool {
    fn new(definition: Arc<ToolDefinition>, kind: ModelKind) -> Self {
        Self {
            definition,
            kind,
            worked_out: OnceLock::new(),
        }
    }

    fn worked_out(&self) -> &WorkedOut {
        self.worked_out.get_or_init(Box::default)
    }

    /// The one value of the process for a definition of these bytes.
    pub(crate) fn of(definition: &Arc<ToolDefinition>, kind: ModelKind) -> Arc<Self> {
        static POOL: LazyLock<Pool<SharedTool>> = LazyLock::new(Pool::default);
        let hash = POOL.hash(&(definition.raw(), kind));
        POOL.find_or_insert(
            hash,
            |known| known.kind == kind && known.definition.raw() == definition.raw(),
            || Self::new(Arc::clone(definition), kind),
        )
    }

    pub(crate) fn definition(&self) -> &Arc<ToolDefinition> {
        &self.definition
    }

    pub(crate) fn param_model_name(&self) -> &str {
        let name = || self.kind.model_name(self.definition.name());
        self.worked_out().param_model_name.get_or_init(name)
    }

    pub(crate) fn param_model(&self) -> &ParamModel {
        self.worked_out().param_model.get_or_init(|| {
            let schema = self.definition.input_schema();
            ParamModel::read(self.param_model_name(), schema)
        })
    }

    pub(crate) fn validation(&self) -> &Validation {
        let compiled = || self.compile("arguments", self.definition.input_schema());
        self.worked_out().validation.get_or_init(compiled)
    }

    /// Nothing where the tool promises nothing.
    pub(crate) fn output_validation(&self) -> Option<&Validation> {
        let compiled = || {
            let schema = self.definition.output_schema()?;
            Some(self.compile("output", schema))
        };
        let validation = &self.worked_out().output_validation;
        validation.get_or_init(compiled).as_ref()
    }

    fn compile(&self, what: &'static str, schema: &str) -> Validation {
        let validation = Validation::compile(schema);
        if let Some(reason) = validation.unchecked() {
            let tool = self.definition.name();
            tracing::warn!(tool = ?tool, what, reason, "a tool's schema is not validated here");
        }
        validation
    }

    pub(crate) fn validate(&self, arguments: &Value) -> Result<(), Error> {
        self.validation().check(arguments)
    }
}

/// Values that live as long as somebody uses them and are found again by what they hold.
///
/// Equality decides, never the hash alone: a hostile server gains nothing by a collision.
#[derive(Debug)]
pub(crate) struct Pool<T> {
    hasher: RandomState,
    known: Mutex<Known<T>>,
}

#[derive(Debug)]
struct Known<T> {
    /// Those of a hash; almost always one.
    by_hash: HashMap<u64, Peers<T>, BuildHasherDefault<AsIs>>,
    /// When the map has grown to this, the dead are swept out.
    sweep_at: usize,
}

#[derive(Debug)]
struct Peers<T> {
    first: Weak<T>,
    /// Small, because there is almost never one.
    #[expect(
        clippy::box_collection,
        reason = "a third of the size of what is never there"
    )]
    more: Option<Box<Vec<Weak<T>>>>,
}

impl<T> Peers<T> {
    fn iter(&self) -> impl Iterator<Item = Arc<T>> {
        let more = self.more.iter().flat_map(|more| more.iter());
        let all = std::iter::once(&self.first).chain(more);
        all.filter_map(Weak::upgrade)
    }

    fn push(&mut self, peer: Weak<T>) {
        if let Some(more) = &mut self.more {
            more.retain(|peer| peer.strong_count() > 0);
        }
        if self.first.strong_count() == 0 {
            self.first = peer;
        } else {
            self.more.get_or_insert_default().push(peer);
        }
    }

    fn is_dead(&self) -> bool {
        self.iter().next().is_none()
    }
}

/// What is a hash already, of a keyed hasher, is not hashed again.
#[derive(Debug, Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            known: Mutex::new(Known {
                by_hash: HashMap::default(),
                sweep_at: 64,
            }),
        }
    }
}

impl<T> Pool<T> {
    pub(crate) fn hash(&self, content: &impl std::hash::Hash) -> u64 {
        self.hasher.hash_one(content)
    }

    pub(crate) fn find_or_insert(
        &self,
        hash: u64,
        same: impl Fn(&T) -> bool,
        create: impl FnOnce() -> T,
    ) -> Arc<T> {
        let mut known = self.known.lock();
        let peers = known.by_hash.get(&hash);
        if let Some(found) = peers.and_then(|peers| peers.iter().find(|peer| same(peer))) {
            return found;
        }
        let made = Arc::new(create());
        if known.by_hash.len() >= known.sweep_at {
            known.by_hash.retain(|_, peers| !peers.is_dead());
            known.sweep_at = (known.by_hash.len() * 2).max(64);
        }
        if known.by_hash.len() < MAX_SHARED {
            let weak = Arc::downgrade(&made);
            match known.by_hash.entry(hash) {
                Entry::Occupied(mut peers) => peers.get_mut().push(weak),
                Entry::Vacant(place) => {
                    place.insert(Peers {
                        first: weak,
                        more: None,
                    });
                }
            }
        }
        made
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.known.lock().by_hash.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_one_and_the_dead_are_swept() {
        let pool = Pool::<u32>::default();
        let put = |n: u32| pool.find_or_insert(pool.hash(&n), |known| *known == n, || n);
        let one = put(1);
        assert!(Arc::ptr_eq(&one, &put(1)));
        for n in 2..10_000 {
            put(n);
        }
        assert!(pool.len() <= 128, "{} are kept", pool.len());
        assert!(Arc::ptr_eq(&one, &put(1)));
    }

    #[test]
    fn a_collision_is_not_equality() {
        let pool = Pool::<u32>::default();
        let one = pool.find_or_insert(7, |known| *known == 1, || 1);
        let two = pool.find_or_insert(7, |known| *known == 2, || 2);
        assert_eq!((*one, *two), (1, 2));
        assert!(Arc::ptr_eq(
            &two,
            &pool.find_or_insert(7, |known| *known == 2, || 3)
        ));
    }
}
