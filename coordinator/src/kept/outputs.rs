//! What outcomes say that was left: outputs of an item, and of a whole stage.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use longshore_core::{JobId, StageSpec};
use longshore_proto::v1::{BlobList, BlobListRef, NamedBlob, Outcome};
use longshore_store::Reader;
use prost::Message;

use super::{
    error::{self, CatalogError},
    lineage,
    messages::{LIST, Messages},
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

/// The outputs of a stage that descend from roots in these ranges (see [`lineage`]), in order of lineage, as lists kept as blobs: at
/// least one, which may be empty.
pub fn of_stage(
    reader: Arc<dyn Reader>,
    messages: &Messages,
    (job, stages): (JobId, &[StageSpec]),
    stage: u16,
    roots: Vec<Range<u64>>,
) -> Result<Vec<BlobListRef>, CatalogError> {
    let mut lists = Vec::new();
    let mut list = BlobList::default();
    for success in lineage::successes(reader, (job, stages), stage, roots) {
        let (_, detail) = success?;
        for output in of(messages, outcome(detail)?)? {
            messages.ensure_held(&output)?;
            list.blobs.push(output);
            if list.blobs.len() as u64 == limits::LIST_ENTRIES {
                lists.push(put(messages, &std::mem::take(&mut list))?);
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

    use super::{
        super::{messages::tests::messages, outcomes},
        *,
    };

    const JOB: JobId = JobId([3; 16]);

    /// Of every output: only names differ.
    const CONTENT: &[u8] = b"left";

    fn blob(item: u64, ordinal: u64) -> NamedBlob {
        let digest = longshore_proto::Digest::of(CONTENT).to_wire();
        NamedBlob {
            path: format!("{item}/{ordinal}"),
            digest,
            size: CONTENT.len() as u64,
            executable: false,
            inline: None,
        }
    }

    fn success(index: u64, said: &Outcome, outputs: u64) -> OutcomeRecord {
        let item = ItemKey { job: JOB, stage: 0, index };
        OutcomeRecord { outputs, ..OutcomeRecord::ended(item, true, said.encode_to_vec()) }
    }

    fn stage_0(reader: Arc<dyn Reader>, messages: &Messages) -> Result<Vec<BlobListRef>, CatalogError> {
        of_stage(reader, messages, (JOB, &[StageSpec::default()]), 0, vec![lineage::ALL])
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
        let lost = stage_0(store.reader(), &messages).unwrap_err();
        assert!(lost.is_loss(), "{lost}");
        messages.put_bytes(CONTENT).unwrap();
        let lists = stage_0(store.reader(), &messages).unwrap();
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
        let lists = stage_0(MemoryDisk::new().open().reader(), &messages).unwrap();
        assert_eq!(lists.iter().map(|list| list.count).collect::<Vec<_>>(), [0]);
    }

    #[test]
    fn an_outcome_that_says_nothing_has_no_outputs() {
        let (_dir, messages) = messages();
        assert!(of(&messages, outcome(Bytes::new()).unwrap()).unwrap().is_empty());
        assert!(outcome(Bytes::from_static(b"\xff")).is_err());
    }
}
