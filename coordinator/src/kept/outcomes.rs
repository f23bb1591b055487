//! Outcomes of items as entries of the store.
//!
//! A success is final, so those that are kept together share entries: a *bundle* holds successes of one stage in order of
//! their indices, all of one block of [`BLOCK`] indices, under the index of its first. An item succeeds once, so no two
//! bundles begin with the same one, and a block is read by reading the entries that lie together there. A failure can be
//! retried, so each has an entry of its own, which goes away by itself.

use longshore_core::{ItemKey, JobId, OutcomeRecord};
use longshore_store::{Batch, Reader};
use serde::{Deserialize, Serialize, Serializer};

use super::keys::{LoadError, decode, encode_onto, item_key, malformed, stage_prefix};

/// Indices of which successes may share an entry, and that are read together: a power of two.
pub const BLOCK: u64 = 256;

/// Bytes of a bundle: values of the store stay below its bound.
const BUNDLE_BYTES: usize = 4_000;

/// Bytes of an entry without its detail, at most: three numbers and a length.
const ENTRY_BYTES: usize = 3 * 10 + 3;

/// One success in a bundle.
#[derive(Serialize, Deserialize)]
struct Entry<'a> {
    /// Its index above that of the bundle's first.
    above: u64,
    outputs: u64,
    first_child: u64,
    #[serde(serialize_with = "bytes")]
    detail: &'a [u8],
}

/// As postcard writes a list of bytes, but at once.
fn bytes<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

/// Adds successes to a batch, in bundles.
pub fn put(batch: &mut Batch, mut successes: Vec<OutcomeRecord>) {
    successes.sort_unstable_by_key(|outcome| outcome.item);
    let mut rest = successes.as_slice();
    while let Some(first) = rest.first() {
        let mut bundle = Vec::with_capacity(BUNDLE_BYTES);
        let mut count = 0;
        while let Some(outcome) = rest.get(count)
            && share_block(&first.item, &outcome.item)
            && bundle.len() + ENTRY_BYTES + outcome.detail.len() <= BUNDLE_BYTES.max(ENTRY_BYTES + first.detail.len())
        {
            let above = outcome.item.index - first.item.index;
            let OutcomeRecord { outputs, first_child, ref detail, .. } = *outcome;
            bundle = encode_onto(bundle, &Entry { above, outputs, first_child, detail });
            count += 1;
        }
        batch.put(item_key(b'o', &first.item), bundle);
        rest = &rest[count..];
    }
}

fn share_block(a: &ItemKey, b: &ItemKey) -> bool {
    (a.job, a.stage, a.index / BLOCK) == (b.job, b.stage, b.index / BLOCK)
}

/// The successes of a bundle. With `details` or without: the ledger needs none.
pub fn unpack(key: &[u8], bundle: &[u8], details: bool, mut each: impl FnMut(OutcomeRecord)) -> Result<(), LoadError> {
    let first = key_item(key)?;
    let mut rest = bundle;
    while !rest.is_empty() {
        let (entry, after) = postcard::take_from_bytes::<Entry<'_>>(rest).map_err(|source| malformed(key, source))?;
        rest = after;
        each(OutcomeRecord {
            item: ItemKey { index: first.index + entry.above, ..first },
            success: true,
            outputs: entry.outputs,
            first_child: entry.first_child,
            detail: if details { entry.detail.to_vec() } else { Vec::new() },
        });
    }
    Ok(())
}

/// The item that an entry's key names.
fn key_item(key: &[u8]) -> Result<ItemKey, LoadError> {
    let split = || {
        let (job, rest) = key.get(1..)?.split_first_chunk()?;
        let (stage, index) = rest.split_first_chunk()?;
        let (job, stage) = (JobId(*job), u16::from_be_bytes(*stage));
        Some(ItemKey { job, stage, index: u64::from_be_bytes(index.try_into().ok()?) })
    };
    split().ok_or_else(|| malformed(key, postcard::Error::DeserializeUnexpectedEnd))
}

/// The failure of an item that was given up.
pub fn failure(reader: &dyn Reader, item: &ItemKey) -> Result<Option<OutcomeRecord>, LoadError> {
    let key = item_key(b'f', item);
    reader.get(&key)?.map(|value| decode(&key, &value)).transpose()
}

/// The successes of the block that the item is in, in order.
pub fn block(reader: &dyn Reader, item: &ItemKey) -> Result<Vec<OutcomeRecord>, LoadError> {
    let first = ItemKey { index: item.index / BLOCK * BLOCK, ..*item };
    let mut prefix = item_key(b'o', &first);
    // All indices of a block share all bytes but the last.
    prefix.pop();
    let bundles = reader.scan(&prefix, None, usize::try_from(BLOCK).unwrap_or(usize::MAX))?;
    let mut found = Vec::new();
    for (key, bundle) in &bundles {
        unpack(key, bundle, true, |outcome| found.push(outcome))?;
    }
    found.sort_unstable_by_key(|outcome| outcome.item.index);
    Ok(found)
}

/// The first index at or above `from` that a bundle of the stage begins with.
pub fn next(reader: &dyn Reader, job: JobId, stage: u16, from: u64) -> Result<Option<ItemKey>, LoadError> {
    let after = from.checked_sub(1).map(|index| item_key(b'o', &ItemKey { job, stage, index }));
    let found = reader.scan(&stage_prefix(b'o', job, stage), after.as_deref(), 1)?;
    found.first().map(|(key, _)| key_item(key)).transpose()
}

#[cfg(test)]
mod tests {
    use longshore_store::{MemoryDisk, Store};

    use super::*;

    fn success(stage: u16, index: u64, detail_bytes: usize) -> OutcomeRecord {
        let item = ItemKey { job: JobId([7; 16]), stage, index };
        let detail = vec![u8::try_from(index % 251).unwrap(); detail_bytes];
        OutcomeRecord { item, success: true, outputs: index % 3, first_child: index * 5, detail }
    }

    fn kept(batches: &[Vec<OutcomeRecord>]) -> (usize, std::sync::Arc<dyn Reader>) {
        let mut store = MemoryDisk::new().open();
        let mut entries = 0;
        for successes in batches {
            let mut batch = Batch::new();
            put(&mut batch, successes.clone());
            batch.check().unwrap();
            entries += batch.len();
            store.commit(&batch).unwrap();
        }
        (entries, store.reader())
    }

    #[test]
    fn what_was_kept_together_in_any_order_is_found_in_order() {
        let odd = (0..600).filter(|index| index % 2 == 1).rev().map(|index| success(0, index, 60)).collect();
        let even = (0..600).filter(|index| index % 2 == 0).map(|index| success(0, index, 60)).collect();
        let (_, reader) = kept(&[odd, even]);
        for index in [0, 255, 256, 599] {
            let wanted = success(0, index, 60);
            let found = block(&*reader, &wanted.item).unwrap();
            let first = index / BLOCK * BLOCK;
            let all: Vec<OutcomeRecord> =
                (first..(first + BLOCK).min(600)).map(|index| success(0, index, 60)).collect();
            assert_eq!(found, all);
        }
    }

    #[test]
    fn neighbours_share_entries() {
        let (entries, _) = kept(&[(0..2_560).map(|index| success(0, index, 60)).collect()]);
        assert!(entries < 100, "{entries}");
    }

    #[test]
    fn the_largest_details_fit() {
        let details = [3_072, 1_000, 3_072, 3_000, 100, 3_072, 0, 0, 3_072, 2_900, 1_100];
        let successes: Vec<OutcomeRecord> = (0..).zip(details).map(|(index, bytes)| success(1, index, bytes)).collect();
        let (_, reader) = kept(std::slice::from_ref(&successes));
        assert_eq!(block(&*reader, &successes[3].item).unwrap(), successes);
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
        let mut batch = Batch::new();
        put(&mut batch, vec![success(0, 1, 10), success(0, 2, 10)]);
        let [longshore_store::Op::Put(key, value)] = &batch.ops[..] else { panic!("{batch:?}") };
        assert!(unpack(key, &value[..value.len() - 1], true, drop).is_err());
        assert!(unpack(&key[..20], value, true, drop).is_err());
    }
}
