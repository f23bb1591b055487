//! What outcomes say that was left: outputs of an item, and of a whole stage.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use longshore_core::{JobId, StageSpec};
use longshore_proto::v1::{BlobList, BlobListRef, NamedBlob, Outcome};
use longshore_store::Reader;
use prost::Message;

use super::{
    error::{self, CatalogError},
    gaps::Gaps,
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

/// What the parts of an item are read from.
pub struct Source<'a> {
    pub reader: Arc<dyn Reader>,
    pub messages: &'a Messages,
    pub job: JobId,
    pub stages: &'a [StageSpec],
}

impl Source<'_> {
    /// The outputs of a stage that descend from roots in these ranges (see [`lineage`]), in order of lineage, as lists kept as blobs:
    /// at least one, which may be empty. And what did not come through. `origin` is what a root is called.
    pub fn lists(
        self,
        stage: u16,
        roots: Vec<Range<u64>>,
        origin: impl FnMut(u64) -> Result<String, CatalogError>,
    ) -> Result<(Vec<BlobListRef>, Gaps), CatalogError> {
        let mut lists = Lists { messages: self.messages, full: Vec::new(), open: BlobList::default() };
        let gaps = self.each(stage, roots, origin, |output| lists.add(output))?;
        Ok((lists.finish()?, gaps))
    }

    /// The same outputs one by one.
    pub fn each<E: From<CatalogError>>(
        self,
        stage: u16,
        roots: Vec<Range<u64>>,
        mut origin: impl FnMut(u64) -> Result<String, CatalogError>,
        mut take: impl FnMut(NamedBlob) -> Result<(), E>,
    ) -> Result<Gaps, E> {
        let mut named: Option<(u64, String)> = None;
        let mut successes = lineage::successes(self.reader, (self.job, self.stages), stage, roots);
        while let Some(success) = successes.next() {
            let (_, detail) = success.map_err(CatalogError::from)?;
            let root = successes.root();
            for mut output in of(self.messages, outcome(detail)?)? {
                self.messages.ensure_held(&output)?;
                output.origin = match &named {
                    Some((last, name)) if *last == root => name.clone(),
                    _ => named.insert((root, origin(root)?)).1.clone(),
                };
                take(output)?;
            }
        }
        Ok(successes.gaps())
    }
}

/// Entries on their way into lists of the most that one has.
pub struct Lists<'a> {
    pub messages: &'a Messages,
    pub full: Vec<BlobListRef>,
    pub open: BlobList,
}

impl Lists<'_> {
    pub fn add(&mut self, entry: NamedBlob) -> Result<(), CatalogError> {
        self.open.blobs.push(entry);
        if self.open.blobs.len() as u64 == limits::LIST_ENTRIES { self.close() } else { Ok(()) }
    }

    /// Keeps what there is so far.
    pub fn close(&mut self) -> Result<(), CatalogError> {
        self.full.push(put(self.messages, &std::mem::take(&mut self.open))?);
        Ok(())
    }

    /// All lists: at least one.
    pub fn finish(mut self) -> Result<Vec<BlobListRef>, CatalogError> {
        if !self.open.blobs.is_empty() || self.full.is_empty() {
            self.close()?;
        }
        Ok(self.full)
    }
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
            origin: String::new(),
        }
    }

    fn success(index: u64, said: &Outcome, outputs: u64) -> OutcomeRecord {
        let item = ItemKey { job: JOB, stage: 0, index };
        OutcomeRecord { outputs, ..OutcomeRecord::ended(item, true, said.encode_to_vec()) }
    }

    fn stage_0(reader: Arc<dyn Reader>, messages: &Messages) -> Result<Vec<BlobListRef>, CatalogError> {
        let source = Source { reader, messages, job: JOB, stages: &[StageSpec::default()] };
        let origin = |root: u64| Ok(format!("in/{root}"));
        Ok(source.lists(0, vec![lineage::ALL], origin)?.0)
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
        let wanted = [(3, inside(3).blobs), (4, inside(4).blobs), (700, far.blobs), (900, inside(900).blobs)];
        let of_root = |(root, blobs): (u64, Vec<NamedBlob>)| {
            blobs.into_iter().map(move |blob| NamedBlob { origin: format!("in/{root}"), ..blob })
        };
        assert!(found == wanted.into_iter().flat_map(of_root).collect::<Vec<_>>());
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
