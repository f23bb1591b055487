//! Successes of neighbours, read together: items are asked for in order, mostly.

use std::sync::Arc;

use bytes::Bytes;
use longshore_core::{ItemKey, JobId};
use longshore_store::Reader;

use super::{
    cache::{self, Cache, HasSize},
    error::LoadError,
    outcomes::{self, BLOCK},
};

/// Bytes of blocks at hand.
const BYTES: usize = 8 << 20;

/// Bytes of a block of which each item has one output.
const USUAL_BYTES: usize = 32 << 10;

/// The successes of one block, in order, with their details.
struct Block(Vec<(u64, Bytes)>);

impl Block {
    fn detail(&self, index: u64) -> Option<Bytes> {
        let at = self.0.binary_search_by_key(&index, |(index, _)| *index).ok()?;
        Some(self.0[at].1.clone())
    }
}

impl HasSize for Block {
    fn size_bytes(&self) -> usize {
        self.0.iter().map(|(_, detail)| detail.len() + size_of::<(u64, Bytes)>()).sum()
    }
}

/// The blocks read last.
pub struct Blocks {
    reader: Arc<dyn Reader>,
    /// A block may have got more since, but what is in it is final: what may be withdrawn is not.
    kept: Cache<(JobId, u16, u64), Block>,
}

impl Blocks {
    pub fn new(reader: Arc<dyn Reader>) -> Self {
        Self { reader, kept: cache::of_bytes(BYTES, USUAL_BYTES) }
    }

    /// The detail of an item's success, if it has succeeded.
    pub fn success(&self, item: &ItemKey) -> Result<Option<Bytes>, LoadError> {
        let block = (item.job, item.stage, item.index / BLOCK);
        if let Some(detail) = self.kept.get(&block).and_then(|known| known.detail(item.index)) {
            return Ok(Some(detail));
        }
        let mut read = Block(Vec::new());
        let mut found = None;
        for (index, outcome) in outcomes::whole_block(&*self.reader, item)? {
            if index == item.index {
                found = Some(outcome.detail.clone());
            }
            if !outcome.revocable {
                read.0.push((index, outcome.detail));
            }
        }
        self.kept.insert(block, Arc::new(read));
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use longshore_core::OutcomeRecord;
    use longshore_store::{Batch, MemoryDisk, Store};

    use super::*;

    fn item(index: u64) -> ItemKey {
        ItemKey { job: JobId([7; 16]), stage: 0, index }
    }

    fn keep(store: &mut impl Store, indices: impl Iterator<Item = u64>) {
        let success = |index: u64| OutcomeRecord {
            outputs: 1,
            ..OutcomeRecord::ended(item(index), true, index.to_be_bytes().to_vec())
        };
        let mut batch = Batch::new();
        outcomes::put(&mut batch, indices.map(success).collect());
        store.commit(longshore_store::Epoch::default(), &batch).unwrap();
    }

    #[test]
    fn what_is_kept_after_its_block_was_read_is_found_too() {
        let mut store = MemoryDisk::new().open();
        let blocks = Blocks::new(store.reader());
        let found = |index| blocks.success(&item(index)).unwrap().map(|detail| detail.to_vec());
        keep(&mut store, (0..300).filter(|index| index % 2 == 0));
        assert_eq!((found(4), found(5)), (Some(4_u64.to_be_bytes().to_vec()), None));
        keep(&mut store, (0..300).filter(|index| index % 2 == 1));
        for index in (0..300).rev() {
            assert_eq!(found(index), Some(index.to_be_bytes().to_vec()));
        }
        assert_eq!(found(300), None);
    }
}
