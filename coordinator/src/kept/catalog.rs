//! What the records mean: specifications, inputs and outputs, read from the store and the blobs when they are needed.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use blake3::Hash;
use bytes::Bytes;
use longshore_blobs::{Blobs, GetError, PutError};
use longshore_core::{Digest, ItemKey, JobId, Source};
use longshore_proto::{
    SMALL_BLOB_BYTES,
    v1::{BlobList, BlobListRef, NamedBlob, Outcome, ServiceSpec, SubmitRequest},
};
use longshore_store::Reader;
use prost::Message;

use super::{
    error::LoadError,
    lists::{List, Lists},
    outcomes, records,
};
use crate::limits;

/// What a list is called in errors.
const LIST: &str = "a list of files";

/// Specifications kept decoded at once.
const SHEETS: usize = 256;

/// Blocks of successes kept at once.
const BLOCKS: usize = 16;

/// Why something that is named cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// A record is missing or unreadable.
    #[error("the records of {what} cannot be read")]
    Record {
        /// What.
        what: String,
        /// Why, if it is there.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// A blob is missing or damaged.
    #[error("{what} cannot be read")]
    Blob {
        /// What is in the blob.
        what: &'static str,
        /// Why.
        source: GetError,
    },
    /// A blob does not hold what it should.
    #[error("{what} is malformed")]
    Malformed {
        /// What is in the blob.
        what: &'static str,
        /// Why.
        source: prost::DecodeError,
    },
    /// There is no such item.
    #[error("item {index} of stage {stage} has no input")]
    NoInput {
        /// The stage.
        stage: u16,
        /// The item.
        index: u64,
    },
    /// A list cannot be stored.
    #[error("a list cannot be stored")]
    Put(#[from] PutError),
}

impl From<LoadError> for CatalogError {
    fn from(error: LoadError) -> Self {
        Self::Record { what: "a job".to_owned(), source: Some(Box::new(error)) }
    }
}

/// Reads what records and blobs say.
pub struct Catalog {
    reader: Arc<dyn Reader>,
    blobs: Arc<Blobs>,
    sheets: Mutex<HashMap<JobId, Arc<Sheet>>>,
    lists: Mutex<Lists>,
    /// Successes read last, oldest first. A block may have got more since, but what is in it is final.
    blocks: Mutex<VecDeque<(ItemKey, Arc<outcomes::Block>)>>,
}

/// A job's submission, decoded.
pub struct Sheet {
    /// As the client sent it.
    pub submission: SubmitRequest,
    /// Index of the first entry of each list of inputs.
    firsts: Vec<u64>,
}

impl Sheet {
    /// Decodes a submission.
    pub fn new(submission: SubmitRequest) -> Self {
        let firsts = submission
            .inputs
            .iter()
            .scan(0, |next, list| {
                let first = *next;
                *next += list.count;
                Some(first)
            })
            .collect();
        Self { submission, firsts }
    }

    /// The submission itself.
    #[cfg(test)]
    pub fn submission(&self) -> &SubmitRequest {
        &self.submission
    }

    /// The job's specification.
    pub fn stages(&self) -> &[longshore_proto::v1::Stage] {
        self.submission.spec.as_ref().map_or(&[], |spec| &spec.stages)
    }

    /// The job's name.
    pub fn name(&self) -> &str {
        self.submission.spec.as_ref().map_or("", |spec| &spec.name)
    }
}

/// A digest from bytes that were checked to be 32.
pub fn hash(digest: &[u8]) -> Hash {
    Hash::from_slice(digest).unwrap_or_else(|_| Hash::from_bytes([0; 32]))
}

impl Catalog {
    pub fn new(reader: Arc<dyn Reader>, blobs: Arc<Blobs>) -> Self {
        Self { reader, blobs, sheets: Mutex::default(), lists: Mutex::default(), blocks: Mutex::default() }
    }

    pub fn reader(&self) -> &dyn Reader {
        &*self.reader
    }

    pub fn blobs(&self) -> &Arc<Blobs> {
        &self.blobs
    }

    /// The job's submission.
    pub fn sheet(&self, job: JobId) -> Result<Arc<Sheet>, CatalogError> {
        if let Some(known) = self.sheets.lock().unwrap_or_else(PoisonError::into_inner).get(&job) {
            return Ok(Arc::clone(known));
        }
        let record = records::job(self.reader(), job)?
            .ok_or_else(|| CatalogError::Record { what: format!("job {job}"), source: None })?;
        let sheet = Arc::new(Sheet::new(self.decode(&record.detail, "the job's specification")?));
        self.keep_sheet(job, Arc::clone(&sheet));
        Ok(sheet)
    }

    fn keep_sheet(&self, job: JobId, sheet: Arc<Sheet>) {
        let mut sheets = self.sheets.lock().unwrap_or_else(PoisonError::into_inner);
        if sheets.len() >= SHEETS {
            sheets.clear();
        }
        sheets.insert(job, sheet);
    }

    /// A service's specification.
    pub fn service_spec(&self, detail: &Digest) -> Result<ServiceSpec, CatalogError> {
        self.decode(detail, "the service's specification")
    }

    /// A list kept as a blob.
    pub fn list(&self, digest: &[u8]) -> Result<BlobList, CatalogError> {
        let digest: Digest = hash(digest).into();
        self.decode(&digest, LIST)
    }

    fn decode<T: Message + Default>(&self, digest: &Digest, what: &'static str) -> Result<T, CatalogError> {
        let bytes = self.blobs.get(&Hash::from_bytes(*digest)).map_err(|source| CatalogError::Blob { what, source })?;
        T::decode(bytes).map_err(|source| CatalogError::Malformed { what, source })
    }

    /// Stores a message as a blob; durable with the next commit.
    pub fn put<T: Message>(&self, message: &T) -> Result<Digest, PutError> {
        let bytes = message.encode_to_vec();
        self.put_bytes(&bytes)
    }

    /// Stores bytes as a blob; durable with the next commit.
    pub fn put_bytes(&self, bytes: &[u8]) -> Result<Digest, PutError> {
        let digest = blake3::hash(bytes);
        if bytes.len() <= SMALL_BLOB_BYTES {
            self.blobs.append_small(&digest, bytes)?;
        } else if !self.blobs.contains(&digest) {
            let mut writer = self.blobs.create()?;
            writer.write(bytes)?;
            writer.finish(Some(digest))?;
        }
        Ok(digest.into())
    }

    /// One of the job's inputs.
    pub fn input(&self, job: JobId, index: u64) -> Result<NamedBlob, CatalogError> {
        self.inputs(job)?.get(self, index)
    }

    /// The job's inputs.
    pub fn inputs(&self, job: JobId) -> Result<Inputs, CatalogError> {
        Ok(Inputs { sheet: self.sheet(job)?, list: None })
    }

    /// A list of inputs, read if it is not at hand.
    fn at_hand(&self, digest: &Hash) -> Result<Arc<List>, CatalogError> {
        let lists = || self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lists().get(digest) {
            return Ok(known);
        }
        let bytes = self.blobs.get(digest).map_err(|source| CatalogError::Blob { what: LIST, source })?;
        let size = bytes.len();
        let list = List::decode(bytes).map_err(|source| CatalogError::Malformed { what: LIST, source })?;
        let list = Arc::new(list);
        lists().keep(*digest, size, Arc::clone(&list));
        Ok(list)
    }

    /// How an item ended, if it has.
    pub fn outcome(&self, item: &ItemKey) -> Result<Option<(bool, Outcome)>, CatalogError> {
        if let Some(detail) = self.success(item)? {
            return Ok(Some((true, decode_outcome(detail)?)));
        }
        let failure = outcomes::failure(self.reader(), item)?;
        failure.map(|detail| Ok((false, decode_outcome(detail)?))).transpose()
    }

    /// The detail of an item's success. Items are asked for in order, mostly, so the block of the last ones is at hand.
    fn success(&self, item: &ItemKey) -> Result<Option<Bytes>, CatalogError> {
        let block = ItemKey { index: item.index / outcomes::BLOCK, ..*item };
        let in_block = |successes: &outcomes::Block| {
            let at = successes.binary_search_by_key(&item.index, |(index, _)| *index).ok()?;
            Some(successes[at].1.clone())
        };
        let known = {
            let blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
            blocks.iter().find(|(known, _)| *known == block).map(|(_, successes)| Arc::clone(successes))
        };
        if let Some(detail) = known.and_then(|successes| in_block(&successes)) {
            return Ok(Some(detail));
        }
        let successes = Arc::new(outcomes::block(self.reader(), item)?);
        let found = in_block(&successes);
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        blocks.retain(|(known, _)| *known != block);
        if blocks.len() >= BLOCKS {
            blocks.pop_front();
        }
        blocks.push_back((block, successes));
        Ok(found)
    }

    /// What last went wrong with an item that has not ended.
    pub fn trouble(&self, item: &ItemKey) -> Result<Option<(u32, Outcome)>, CatalogError> {
        records::trouble(self.reader(), item)?
            .map(|record| {
                Ok((record.failures + record.crashes + record.mishaps, decode_outcome(record.detail.into())?))
            })
            .transpose()
    }

    /// The outputs of an outcome.
    pub fn outputs(&self, outcome: Outcome) -> Result<Vec<NamedBlob>, CatalogError> {
        match outcome.outputs_ref {
            Some(list) => Ok(self.list(&list.digest)?.blobs),
            None => Ok(outcome.outputs.unwrap_or_default().blobs),
        }
    }

    /// What an item of a map stage takes in.
    pub fn source(&self, item: &ItemKey, source: Source) -> Result<NamedBlob, CatalogError> {
        let nowhere = || CatalogError::NoInput { stage: item.stage, index: item.index };
        match source {
            Source::Input => self.input(item.job, item.index),
            Source::Output { parent, ordinal } => {
                let stage = item.stage.checked_sub(1).ok_or_else(nowhere)?;
                let parent = ItemKey { job: item.job, stage, index: parent };
                let (_, outcome) = self.outcome(&parent)?.ok_or_else(nowhere)?;
                let outputs = self.outputs(outcome)?;
                usize::try_from(ordinal).ok().and_then(|at| outputs.get(at)).cloned().ok_or_else(nowhere)
            }
            Source::Everything => Err(nowhere()),
        }
    }

    /// All outputs of a stage in the order of its items, as lists kept as blobs.
    pub fn everything(&self, job: JobId, stage: u16) -> Result<Vec<BlobListRef>, CatalogError> {
        let mut lists = Vec::new();
        let mut list = BlobList::default();
        let mut from = 0;
        while let Some(item) = outcomes::next(self.reader(), job, stage, from)? {
            from = (item.index / outcomes::BLOCK + 1) * outcomes::BLOCK;
            for (_, detail) in outcomes::block(self.reader(), &item)? {
                for output in self.outputs(decode_outcome(detail)?)? {
                    list.blobs.push(output);
                    if list.blobs.len() as u64 == limits::LIST_ENTRIES {
                        lists.push(self.put_list(&std::mem::take(&mut list))?);
                    }
                }
            }
        }
        if !list.blobs.is_empty() || lists.is_empty() {
            lists.push(self.put_list(&list)?);
        }
        Ok(lists)
    }

    fn put_list(&self, list: &BlobList) -> Result<BlobListRef, CatalogError> {
        let digest = self.put(list)?;
        Ok(BlobListRef {
            digest: Bytes::copy_from_slice(&digest),
            count: list.blobs.len() as u64,
            size: list.encoded_len() as u64,
        })
    }

    /// Adds the bytes of a small blob to its name.
    pub fn inline(&self, blob: &mut NamedBlob) -> Result<(), CatalogError> {
        if blob.size <= SMALL_BLOB_BYTES as u64 {
            let bytes = self
                .blobs
                .get(&hash(&blob.digest))
                .map_err(|source| CatalogError::Blob { what: "the item's input", source })?;
            blob.inline = Some(bytes);
        }
        Ok(())
    }
}

/// A job's inputs, for those who ask for neighbours one after another: these are in one list.
pub struct Inputs {
    sheet: Arc<Sheet>,
    /// The list that was read last, and which of the sheet's it is.
    list: Option<(usize, Arc<List>)>,
}

impl Inputs {
    /// One of them.
    pub fn get(&mut self, catalog: &Catalog, index: u64) -> Result<NamedBlob, CatalogError> {
        let nowhere = || CatalogError::NoInput { stage: 0, index };
        let firsts = &self.sheet.firsts;
        let number = firsts.partition_point(|first| *first <= index).checked_sub(1).ok_or_else(nowhere)?;
        let at = usize::try_from(index - firsts[number]).map_err(|_| nowhere())?;
        let list = match &self.list {
            Some((known, list)) if *known == number => list,
            _ => {
                let list = catalog.at_hand(&hash(&self.sheet.submission.inputs[number].digest))?;
                &self.list.insert((number, list)).1
            }
        };
        let entry = list.entry(at).ok_or_else(nowhere)?;
        entry.map_err(|source| CatalogError::Malformed { what: LIST, source })
    }
}

/// What a record says of an outcome. An empty one is the core's own: workers went away under the item.
pub fn decode_outcome(detail: Bytes) -> Result<Outcome, CatalogError> {
    Outcome::decode(detail).map_err(|source| CatalogError::Malformed { what: "an outcome", source })
}
