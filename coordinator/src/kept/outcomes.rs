//! Outcomes of items as entries of the store.
//!
//! A success is final, so those that are kept together share entries: a *bundle* holds successes of one stage in order of
//! their indices, all of one block of [`BLOCK`] indices, under the index of its first. An item succeeds once, so no two
//! bundles begin with the same one, and a block is read by reading the entries that lie together there. A failure can be
//! retried, so each has an entry of its own, which goes away by itself.

use bytes::Bytes;
use longshore_core::{ItemKey, JobId, OutcomeRecord};
use longshore_store::{Batch, Reader};
use prost::{
    Message,
    encoding::{encoded_len_varint, key_len},
};

use super::{
    convert,
    error::{LoadError, Malformed},
    keys::{BUNDLE, FAILURE, item_key, item_of, stage_prefix},
    v1,
};

/// Indices of which successes may share an entry, and that are read together: a power of two.
pub const BLOCK: u64 = 256;

/// Bytes of a bundle: values of the store stay below its bound.
const BUNDLE_BYTES: usize = 4_000;

/// Adds successes to a batch, in bundles.
pub fn put(batch: &mut Batch, mut successes: Vec<OutcomeRecord>) {
    successes.sort_unstable_by_key(|outcome| outcome.item);
    let mut open: Option<Open> = None;
    for outcome in successes {
        let item = outcome.item;
        if let Some(bundle) = &mut open
            && bundle.may_take(&item)
        {
            let entry = convert::outcome_to_kept(outcome, item.index - bundle.next);
            let Err(entry) = bundle.take(item, entry) else { continue };
            bundle.write(batch);
            open = Some(Open::new(item, v1::Outcome { skipped: 0, ..entry }));
        } else {
            if let Some(bundle) = &open {
                bundle.write(batch);
            }
            open = Some(Open::new(item, convert::outcome_to_kept(outcome, 0)));
        }
    }
    if let Some(bundle) = &open {
        bundle.write(batch);
    }
}

/// A bundle that is being filled.
struct Open {
    first: ItemKey,
    /// The index after that of its last.
    next: u64,
    bundle: v1::Bundle,
    bytes: usize,
}

impl Open {
    fn new(first: ItemKey, entry: v1::Outcome) -> Self {
        let bytes = bytes_in_bundle(&entry);
        Self { first, next: first.index + 1, bundle: v1::Bundle { successes: vec![entry] }, bytes }
    }

    /// Whether the item is one of its block, and comes after those that are here.
    fn may_take(&self, item: &ItemKey) -> bool {
        let block = |item: &ItemKey| (item.job, item.stage, item.index / BLOCK);
        block(&self.first) == block(item) && item.index >= self.next
    }

    /// Adds a success, or gives it back when there is no room for it.
    fn take(&mut self, item: ItemKey, entry: v1::Outcome) -> Result<(), v1::Outcome> {
        let bytes = self.bytes + bytes_in_bundle(&entry);
        if bytes > BUNDLE_BYTES {
            return Err(entry);
        }
        self.bytes = bytes;
        self.next = item.index + 1;
        self.bundle.successes.push(entry);
        Ok(())
    }

    fn write(&self, batch: &mut Batch) {
        batch.put(item_key(BUNDLE, &self.first), self.bundle.encode_to_vec());
    }
}

/// Bytes that an entry takes in its bundle.
fn bytes_in_bundle(entry: &v1::Outcome) -> usize {
    let bytes = entry.encoded_len();
    key_len(1) + encoded_len_varint(bytes as u64) + bytes
}

/// The successes of a bundle, with their items, in order.
pub fn unpack(key: &[u8], bundle: Vec<u8>) -> Result<Vec<(ItemKey, v1::Outcome)>, LoadError> {
    let mut item = item_of(key)?;
    let bundle = v1::Bundle::decode(Bytes::from(bundle)).map_err(|error| LoadError::malformed(key, error))?;
    let number = |entry: v1::Outcome| {
        let index = item.index.checked_add(entry.skipped)?;
        let found = ItemKey { index, ..item };
        item.index = index.checked_add(1)?;
        Some((found, entry))
    };
    let numbered = bundle.successes.into_iter().map(number).collect::<Option<_>>();
    numbered.ok_or_else(|| LoadError::malformed(key, Malformed::Index))
}

/// How an item failed.
pub fn failure(reader: &dyn Reader, item: &ItemKey) -> Result<Option<OutcomeRecord>, LoadError> {
    let key = item_key(FAILURE, item);
    let value = reader.get(&key)?;
    value.map(|value| Ok(convert::outcome_from_kept(*item, false, convert::decode(&key, value)?))).transpose()
}

/// How items of a job failed, so many of them at most, in order.
pub fn failures(reader: &dyn Reader, job: JobId, most: usize) -> Result<Vec<OutcomeRecord>, LoadError> {
    let prefix = [&[FAILURE], job.0.as_slice()].concat();
    let found = reader.scan(&prefix, None, most)?;
    let read = |(key, value): (Vec<u8>, Vec<u8>)| {
        Ok(convert::outcome_from_kept(item_of(&key)?, false, convert::decode(&key, value)?))
    };
    found.into_iter().map(read).collect()
}

/// The successes of a block of items, in order.
#[cfg(test)]
pub type Block = Vec<(u64, Bytes)>;

/// The indices of the successes of the block that the item is in, with their details, in order.
#[cfg(test)]
pub fn block(reader: &dyn Reader, item: &ItemKey) -> Result<Block, LoadError> {
    Ok(whole_block(reader, item)?.into_iter().map(|(index, outcome)| (index, outcome.detail)).collect())
}

/// The indices of the successes of the block that the item is in, with all that is kept of them, in order.
pub fn whole_block(reader: &dyn Reader, item: &ItemKey) -> Result<Vec<(u64, v1::Outcome)>, LoadError> {
    let first = ItemKey { index: item.index / BLOCK * BLOCK, ..*item };
    let mut prefix = item_key(BUNDLE, &first);
    // All indices of a block share all bytes but the last.
    prefix.pop();
    let bundles = reader.scan(&prefix, None, usize::try_from(BLOCK).unwrap_or(usize::MAX))?;
    let mut found = Vec::new();
    for (key, bundle) in bundles {
        found.extend(unpack(&key, bundle)?.into_iter().map(|(item, outcome)| (item.index, outcome)));
    }
    found.sort_unstable_by_key(|(index, _)| *index);
    Ok(found)
}

/// The first index at or above `from` that a bundle of the stage begins with.
pub fn next(reader: &dyn Reader, job: JobId, stage: u16, from: u64) -> Result<Option<ItemKey>, LoadError> {
    let after = from.checked_sub(1).map(|index| item_key(BUNDLE, &ItemKey { job, stage, index }));
    let found = reader.scan(&stage_prefix(BUNDLE, job, stage), after.as_deref(), 1)?;
    found.first().map(|(key, _)| item_of(key)).transpose()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use longshore_store::{Epoch, MemoryDisk, Op, Store};

    use super::*;

    fn success(stage: u16, index: u64, detail_bytes: usize) -> OutcomeRecord {
        let item = ItemKey { job: JobId([7; 16]), stage, index };
        let detail = vec![u8::try_from(index % 251).unwrap(); detail_bytes];
        OutcomeRecord { outputs: index % 3, first_child: index * 5, ..OutcomeRecord::ended(item, true, detail) }
    }

    fn details(successes: &[OutcomeRecord]) -> Block {
        successes.iter().map(|outcome| (outcome.item.index, outcome.detail.clone().into())).collect()
    }

    fn kept(batches: &[Vec<OutcomeRecord>]) -> (Vec<Op>, Arc<dyn Reader>) {
        let mut store = MemoryDisk::new().open();
        let mut ops = Vec::new();
        for successes in batches {
            let mut batch = Batch::new();
            put(&mut batch, successes.clone());
            batch.check().unwrap();
            store.commit(Epoch::default(), &batch).unwrap();
            ops.extend(batch.ops);
        }
        (ops, store.reader())
    }

    #[test]
    fn what_was_kept_together_in_any_order_is_found_in_order() {
        let odd = (0..600).filter(|index| index % 2 == 1).rev().map(|index| success(0, index, 60)).collect();
        let even = (0..600).filter(|index| index % 2 == 0).map(|index| success(0, index, 60)).collect();
        let (_, reader) = kept(&[odd, even]);
        for index in [0, 255, 256, 599] {
            let first = index / BLOCK * BLOCK;
            let all: Vec<_> = (first..(first + BLOCK).min(600)).map(|index| success(0, index, 60)).collect();
            assert_eq!(block(&*reader, &success(0, index, 60).item).unwrap(), details(&all));
        }
    }

    #[test]
    fn a_bundle_is_unpacked_into_what_it_was_made_of() {
        let successes: Vec<_> = [0, 1, 2, 5, 6, 90, 255].map(|index| success(3, index, 20)).into();
        let (ops, _) = kept(std::slice::from_ref(&successes));
        let [Op::Put(key, value)] = &ops[..] else { panic!("{ops:?}") };
        let unpacked = unpack(key, value.clone()).unwrap().into_iter();
        let unpacked: Vec<_> = unpacked.map(|(item, entry)| convert::outcome_from_kept(item, true, entry)).collect();
        assert_eq!(unpacked, successes);
    }

    #[test]
    fn neighbours_share_entries() {
        let (ops, _) = kept(&[(0..2_560).map(|index| success(0, index, 60)).collect()]);
        assert!(ops.len() < 100, "{}", ops.len());
    }

    #[test]
    fn what_stands_around_a_success_is_small() {
        let ones = (0..256).map(|index| OutcomeRecord { outputs: 1, first_child: 0, ..success(0, index, 90) });
        let (ops, _) = kept(&[ones.collect()]);
        let bytes: usize = ops.iter().map(Op::size_bytes).sum();
        assert!(bytes < 256 * (90 + 8), "{}", bytes / 256);
    }

    #[test]
    fn the_largest_details_fit() {
        let details_bytes = [3_072, 1_000, 3_072, 3_000, 100, 3_072, 0, 0, 3_072, 2_900, 1_100, 3_900];
        let successes: Vec<_> = (0..).zip(details_bytes).map(|(index, bytes)| success(1, index, bytes)).collect();
        let (_, reader) = kept(std::slice::from_ref(&successes));
        assert_eq!(block(&*reader, &successes[3].item).unwrap(), details(&successes));
    }

    #[test]
    fn stages_and_blocks_are_walked_without_their_neighbours() {
        let (_, reader) = kept(&[vec![success(0, 3, 1), success(0, 700, 1), success(1, 5, 1)]]);
        let job = JobId([7; 16]);
        let next = |stage, from| next(&*reader, job, stage, from).unwrap().map(|item| item.index);
        assert_eq!((next(0, 0), next(0, 3), next(0, 4), next(0, 701)), (Some(3), Some(3), Some(700), None));
        assert_eq!((next(1, 0), next(2, 0)), (Some(5), None));
        assert!(block(&*reader, &success(0, 300, 1).item).unwrap().is_empty());
    }

    #[test]
    fn half_a_bundle_is_not_understood() {
        let (ops, _) = kept(&[vec![success(0, 1, 10), success(0, 2, 10)]]);
        let [Op::Put(key, value)] = &ops[..] else { panic!("{ops:?}") };
        assert!(unpack(key, value[..value.len() - 1].to_vec()).is_err());
        assert!(unpack(&key[..20], value.clone()).is_err());
    }

    #[test]
    fn indices_beyond_all_numbers_are_not_understood() {
        let far = |skipped| v1::Bundle { successes: vec![v1::Outcome { skipped, ..v1::Outcome::default() }] };
        let key = item_key(BUNDLE, &success(0, 9, 0).item);
        assert!(unpack(&key, far(u64::MAX - 10).encode_to_vec()).is_ok());
        assert!(unpack(&key, far(u64::MAX - 8).encode_to_vec()).is_err());
    }
}
