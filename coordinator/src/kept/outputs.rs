//! What outcomes say that was left: outputs of an item, and of a whole stage.

use bytes::Bytes;
use longshore_core::JobId;
use longshore_proto::v1::{BlobList, BlobListRef, NamedBlob, Outcome};
use longshore_store::Reader;
use prost::Message;

use super::{
    error::{self, CatalogError},
    messages::{LIST, Messages},
    outcomes,
};
use crate::limits;

/// What a record says of an outcome. An empty one is the core's own: workers went away under the item.
pub fn outcome(detail: Bytes) -> Result<Outcome, CatalogError> {
    Outcome::decode(detail).map_err(|source| CatalogError::Malformed { what: "an outcome", source })
}

/// The outputs of an outcome.
pub fn of(messages: &Messages, outcome: Outcome) -> Result<Vec<NamedBlob>, CatalogError> {
    let list: BlobList = match outcome.outputs_ref {
        Some(list) => messages.get(error::digest(&list.digest, LIST)?, LIST)?,
        None => outcome.outputs.unwrap_or_default(),
    };
    Ok(list.blobs)
}

/// All outputs of a stage in the order of its items, as lists kept as blobs: at least one, which may be empty.
pub fn of_stage(
    reader: &dyn Reader,
    messages: &Messages,
    job: JobId,
    stage: u16,
) -> Result<Vec<BlobListRef>, CatalogError> {
    let mut lists = Vec::new();
    let mut list = BlobList::default();
    let mut from = 0;
    while let Some(item) = outcomes::next(reader, job, stage, from)? {
        from = (item.index / outcomes::BLOCK + 1) * outcomes::BLOCK;
        for (_, detail) in outcomes::block(reader, &item)? {
            for output in of(messages, outcome(detail)?)? {
                messages.ensure_held(&output)?;
                list.blobs.push(output);
                if list.blobs.len() as u64 == limits::LIST_ENTRIES {
                    lists.push(put(messages, &std::mem::take(&mut list))?);
                }
            }
        }
    }
    if !list.blobs.is_empty() || lists.is_empty() {
        lists.push(put(messages, &list)?);
    }
    Ok(lists)
}

/// Stores a list; durable with the next commit.
pub fn put(messages: &Messages, list: &BlobList) -> Result<BlobListRef, CatalogError> {
    let digest = messages.put(list)?;
    Ok(BlobListRef { digest: digest.to_wire(), count: list.blobs.len() as u64, size: list.encoded_len() as u64 })
}

#[cfg(test)]
mod tests {
    use longshore_core::{ItemKey, OutcomeRecord};
    use longshore_store::{Batch, MemoryDisk, Store};

    use super::{super::messages::tests::messages, *};

    const JOB: JobId = JobId([3; 16]);

    /// Of every output: only names differ.
    const CONTENT: &[u8] = b"left";

    fn blob(item: u64, ordinal: u64) -> NamedBlob {
        let digest = longshore_proto::Digest::of(CONTENT).to_wire();
        NamedBlob { path: format!("{item}/{ordinal}"), digest, size: CONTENT.len() as u64, inline: None }
    }

    fn success(index: u64, said: &Outcome, outputs: u64) -> OutcomeRecord {
        let item = ItemKey { job: JOB, stage: 1, index };
        OutcomeRecord { item, success: true, outputs, first_child: 0, detail: said.encode_to_vec() }
    }

    #[test]
    fn outputs_of_a_stage_are_listed_in_order_of_items_however_they_are_kept() {
        let (_dir, messages) = messages();
        let mut store = MemoryDisk::new().open();
        let inside = |item| BlobList { blobs: vec![blob(item, 0), blob(item, 1)] };
        let far = BlobList { blobs: (0..limits::LIST_ENTRIES).map(|ordinal| blob(700, ordinal)).collect() };
        let far_ref = put(&messages, &far).unwrap();
        let mut batch = Batch::new();
        let near = |item| Outcome { outputs: Some(inside(item)), ..Outcome::default() };
        let listed = Outcome { outputs_ref: Some(far_ref), ..Outcome::default() };
        let successes = vec![
            success(900, &near(900), 2),
            success(700, &listed, limits::LIST_ENTRIES),
            success(3, &near(3), 2),
            success(4, &near(4), 2),
        ];
        outcomes::put(&mut batch, successes);
        store.commit(longshore_store::Epoch::default(), &batch).unwrap();
        let lost = of_stage(&*store.reader(), &messages, JOB, 1).unwrap_err();
        assert!(lost.is_loss(), "{lost}");
        messages.put_bytes(CONTENT).unwrap();
        let lists = of_stage(&*store.reader(), &messages, JOB, 1).unwrap();
        let read = |list: &BlobListRef| -> Vec<NamedBlob> {
            let read: BlobList = messages.get(error::digest(&list.digest, LIST).unwrap(), LIST).unwrap();
            assert_eq!((read.blobs.len() as u64, read.encoded_len() as u64), (list.count, list.size));
            read.blobs
        };
        assert_eq!(lists.iter().map(|list| list.count).collect::<Vec<_>>(), [limits::LIST_ENTRIES, 6]);
        let found: Vec<_> = lists.iter().flat_map(read).collect();
        let wanted = [inside(3).blobs, inside(4).blobs, far.blobs, inside(900).blobs].concat();
        assert!(found == wanted);
    }

    #[test]
    fn a_stage_without_outputs_has_one_empty_list() {
        let (_dir, messages) = messages();
        let lists = of_stage(&*MemoryDisk::new().open().reader(), &messages, JOB, 1).unwrap();
        assert_eq!(lists.iter().map(|list| list.count).collect::<Vec<_>>(), [0]);
    }

    #[test]
    fn an_outcome_that_says_nothing_has_no_outputs() {
        let (_dir, messages) = messages();
        assert!(of(&messages, outcome(Bytes::new()).unwrap()).unwrap().is_empty());
        assert!(outcome(Bytes::from_static(b"\xff")).is_err());
    }
}
