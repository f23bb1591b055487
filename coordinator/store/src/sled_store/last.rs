//! The record written with every commit: how many there were, the hash that chains them, and what the store must hold.
//!
//! The count and sum of all entries turn a store that lost, kept or brought back a single entry into an error at opening,
//! whatever the backend's own checks miss. The chain tells two histories of the same length apart.

use std::collections::HashMap;

use blake3::Hasher;

use super::envelope;
use crate::{Batch, Op};

/// Where it is kept.
pub(crate) const KEY: &[u8] = b"\xfflast";
/// Where the epoch is kept, an entry like any other.
pub(crate) const EPOCH_KEY: &[u8] = b"\xffepoch";
const BYTES: usize = 8 + 32 + 8 + 8;

/// The number of a commit and the hash of all up to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Commits so far; 0 is the empty store.
    pub(crate) seq: u64,
    /// `blake3(previous chain, seq, changes)`.
    pub(crate) chain: [u8; 32],
}

/// How much there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Entries.
    pub(crate) entries: u64,
    /// The sum of all envelopes' checksums.
    pub(crate) sum: u64,
}

impl Totals {
    pub(crate) fn add(&mut self, sealed: &[u8]) {
        self.entries += 1;
        self.sum = self.sum.wrapping_add(envelope::weight(sealed));
    }

    pub(crate) fn remove(&mut self, sealed: &[u8]) {
        self.entries = self.entries.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(envelope::weight(sealed));
    }
}

/// See the module.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Last {
    pub(crate) mark: Mark,
    pub(crate) totals: Totals,
}

impl Last {
    pub(crate) fn encode(&self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[..8].copy_from_slice(&self.mark.seq.to_be_bytes());
        bytes[8..40].copy_from_slice(&self.mark.chain);
        bytes[40..48].copy_from_slice(&self.totals.entries.to_be_bytes());
        bytes[48..].copy_from_slice(&self.totals.sum.to_be_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (seq, rest) = bytes.split_first_chunk()?;
        let (chain, rest) = rest.split_first_chunk()?;
        let (entries, rest) = rest.split_first_chunk()?;
        let sum = rest.try_into().ok()?;
        let mark = Mark { seq: u64::from_be_bytes(*seq), chain: *chain };
        let totals = Totals { entries: u64::from_be_bytes(*entries), sum: u64::from_be_bytes(sum) };
        Some(Self { mark, totals })
    }
}

impl Mark {
    /// The mark after this batch.
    pub(crate) fn after(&self, batch: &Batch) -> Self {
        let seq = self.seq + 1;
        let mut hasher = Hasher::new();
        hasher.update(&self.chain).update(&seq.to_be_bytes());
        for op in &batch.ops {
            match op {
                Op::Put(key, value) => hash_parts(&mut hasher, b"p", &[key, value]),
                Op::Delete(key) => hash_parts(&mut hasher, b"d", &[key]),
            }
        }
        Self { seq, chain: hasher.finalize().into() }
    }
}

fn hash_parts(hasher: &mut Hasher, kind: &[u8], parts: &[&Vec<u8>]) {
    hasher.update(kind);
    for part in parts {
        hasher.update(&(part.len() as u64).to_be_bytes()).update(part);
    }
}

/// What the batch comes to: for each key its last change, `None` for a delete.
pub(crate) fn net(batch: &Batch) -> HashMap<&[u8], Option<&[u8]>> {
    let changes = batch.ops.iter().map(|op| match op {
        Op::Put(key, value) => (key.as_slice(), Some(value.as_slice())),
        Op::Delete(key) => (key.as_slice(), None),
    });
    changes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_encoded_decodes() {
        let last = Last { mark: Mark { seq: 7, chain: [3; 32] }, totals: Totals { entries: 9, sum: u64::MAX } };
        assert_eq!(Last::decode(&last.encode()), Some(last));
        assert_eq!(Last::decode(&last.encode()[1..]), None);
    }

    #[test]
    fn the_chain_tells_histories_apart() {
        let (mut one, mut other) = (Batch::new(), Batch::new());
        one.put("ab", "c");
        other.put("a", "bc");
        let mark = Mark::default();
        assert_ne!(mark.after(&one).chain, mark.after(&other).chain);
        assert_ne!(mark.after(&one).after(&other).chain, mark.after(&other).after(&one).chain);
    }

    #[test]
    fn the_later_change_of_a_key_wins() {
        let mut batch = Batch::new();
        batch.put("a", "1");
        batch.delete("a");
        batch.delete("b");
        batch.put("b", "2");
        assert_eq!(net(&batch), HashMap::from([(&b"a"[..], None), (&b"b"[..], Some(&b"2"[..]))]));
    }
}
