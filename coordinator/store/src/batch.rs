//! What a commit carries: an ordered list of puts and deletes, and the bounds every backend holds it to.

use thiserror::Error;

/// A key: 1 to [`MAX_KEY_BYTES`] bytes, not beginning with [`RESERVED`]. Keys are ordered bytewise.
pub type Key = Vec<u8>;
/// A value: at most [`MAX_VALUE_BYTES`] bytes; may be empty.
pub type Value = Vec<u8>;

/// The longest key.
pub const MAX_KEY_BYTES: usize = 512;
/// The longest value. sled keeps up to 16 entries in one page and moves pages beyond 128 KiB into files it never syncs,
/// so 16 × (key + value) must stay well below that.
pub const MAX_VALUE_BYTES: usize = 4096;
/// The most bytes (keys and values together) one batch may carry: it is held in memory several times over.
pub const MAX_BATCH_BYTES: usize = 64 << 20;
/// Keys beginning with this byte belong to the store itself.
pub const RESERVED: u8 = 0xff;

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Sets the key to the value, whether it was there or not.
    Put(Key, Value),
    /// Removes the key; no error when it is not there.
    Delete(Key),
}

impl Op {
    /// The key it changes.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        match self {
            Op::Put(key, _) | Op::Delete(key) => key,
        }
    }

    /// Bytes of key and value together.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        match self {
            Op::Put(key, value) => key.len() + value.len(),
            Op::Delete(key) => key.len(),
        }
    }
}

/// Changes that take effect together, in order: of two that name the same key the later one wins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// The changes, in order.
    pub ops: Vec<Op>,
}

impl Batch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a put.
    pub fn put(&mut self, key: impl Into<Key>, value: impl Into<Value>) {
        self.ops.push(Op::Put(key.into(), value.into()));
    }

    /// Adds a delete.
    pub fn delete(&mut self, key: impl Into<Key>) {
        self.ops.push(Op::Delete(key.into()));
    }

    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// The number of changes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ops.len()
    }

    /// Bytes of all keys and values together.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.ops.iter().map(Op::size_bytes).sum()
    }

    /// Checks the bounds that hold for every backend.
    ///
    /// # Errors
    /// The first change that is out of bounds, or the batch as a whole.
    pub fn check(&self) -> Result<(), Refusal> {
        self.ops.iter().try_for_each(check_op)?;
        let bytes = self.size_bytes();
        if bytes > MAX_BATCH_BYTES {
            return Err(Refusal::BatchTooLarge { bytes });
        }
        Ok(())
    }
}

impl FromIterator<Op> for Batch {
    fn from_iter<T: IntoIterator<Item = Op>>(ops: T) -> Self {
        Self { ops: ops.into_iter().collect() }
    }
}

fn check_op(op: &Op) -> Result<(), Refusal> {
    let key = op.key();
    match key.first() {
        None => return Err(Refusal::EmptyKey),
        Some(&RESERVED) => return Err(Refusal::ReservedKey { key: shown(key) }),
        Some(_) => {}
    }
    if key.len() > MAX_KEY_BYTES {
        return Err(Refusal::KeyTooLong { key: shown(key), bytes: key.len() });
    }
    match op {
        Op::Put(_, value) if value.len() > MAX_VALUE_BYTES => {
            Err(Refusal::ValueTooLarge { key: shown(key), bytes: value.len() })
        }
        _ => Ok(()),
    }
}

/// A key for error texts: escaped, at most 64 bytes of it.
pub(crate) fn shown(key: &[u8]) -> String {
    let head = key.get(..64).unwrap_or(key);
    format!("{}{}", head.escape_ascii(), if head.len() < key.len() { "…" } else { "" })
}

/// Why a batch can never be committed. Nothing of it was written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// A key of no bytes.
    #[error("a key is empty")]
    EmptyKey,
    /// A key in the store's own space.
    #[error("key {key:?} begins with the reserved byte 0xff")]
    ReservedKey {
        /// The key, escaped.
        key: String,
    },
    /// A key beyond [`MAX_KEY_BYTES`].
    #[error("key {key:?} has {bytes} bytes, more than {MAX_KEY_BYTES}")]
    KeyTooLong {
        /// The key's beginning, escaped.
        key: String,
        /// Its length.
        bytes: usize,
    },
    /// A value beyond [`MAX_VALUE_BYTES`].
    #[error("the value of key {key:?} has {bytes} bytes, more than {MAX_VALUE_BYTES}")]
    ValueTooLarge {
        /// The key, escaped.
        key: String,
        /// The value's length.
        bytes: usize,
    },
    /// A batch beyond [`MAX_BATCH_BYTES`].
    #[error("the batch has {bytes} bytes, more than {MAX_BATCH_BYTES}")]
    BatchTooLarge {
        /// Keys and values together.
        bytes: usize,
    },
}
