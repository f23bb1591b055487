//! Inputs become blobs, and lists of them blobs too.
//!
//! ```text
//! batch of inputs ──► hash ──► which are missing? ──► put those ──► lists ──► put the lists
//! next batch      ──► hash (meanwhile)
//! ```
//!
//! Everything here is harmless twice, so a batch that met a restarting coordinator is simply done again.

mod progress;
mod put;

use std::{collections::HashSet, io, ops::Range, sync::Arc};

use bytes::Bytes;
use longshore_proto::v1::{BlobList, BlobListRef, MissingRequest, NamedBlob};
use prost::Message;

pub(crate) use self::progress::Tracker;
pub use self::progress::{ProgressFn, UploadProgress};
use self::put::Putting;
use crate::{
    CallError, Client, Digest, Kind,
    hash::{self, Hashed},
    inputs::{Input, Source},
    retry::{self, Transient},
};

/// Inputs hashed and asked about at once: as many as one Missing request may name.
const BATCH: usize = 16_384;

/// Entries of one list of inputs, at most.
const LIST_ENTRIES: usize = 4_096;

/// An upload failed.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// An input cannot be read.
    #[error("cannot read {shown}")]
    Read {
        /// Which, escaped.
        shown: String,
        /// Why.
        source: io::Error,
    },
    /// An input's bytes were not the same when they were read again.
    #[error("{shown} changed while it was uploaded")]
    Changed {
        /// Which, escaped.
        shown: String,
    },
    /// The coordinator could not be asked, or refused.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The program is shutting down.
    #[error("the upload was stopped")]
    Stopped,
}

impl UploadError {
    pub(crate) fn read(source: &Source, error: io::Error) -> UploadError {
        UploadError::Read { shown: source.shown(), source: error }
    }

    /// Whose move it is.
    pub fn kind(&self) -> Kind {
        match self {
            UploadError::Read { .. } | UploadError::Changed { .. } => Kind::Refused,
            UploadError::Call(error) => error.kind(),
            UploadError::Stopped => Kind::Unavailable,
        }
    }
}

impl Transient for UploadError {
    fn is_transient(&self) -> bool {
        matches!(self, UploadError::Call(error) if error.is_transient())
    }
}

impl Client {
    /// Uploads what the coordinator lacks of `inputs` and of the lists that name them; answers the lists, in order, of at
    /// most 4,096 entries each. Durable when it returns.
    pub async fn upload(&self, inputs: Vec<Input>, progress: ProgressFn) -> Result<Vec<BlobListRef>, UploadError> {
        let total = inputs.len();
        let mut upload = Upload::new(self, inputs, progress);
        let mut lists = Vec::new();
        let mut hashing = upload.hash(0..total.min(BATCH));
        for start in (0..total).step_by(BATCH) {
            let (range, next) = (start..total.min(start + BATCH), start + BATCH);
            let hashed = hashing.await.map_err(|_| UploadError::Stopped)??;
            // The next batch is read while this one travels.
            hashing = upload.hash(next.min(total)..total.min(next + BATCH));
            upload.put_inputs(range.clone(), &hashed).await?;
            let named = upload.named(range, &hashed);
            lists.extend(upload.put_lists(named.chunks(LIST_ENTRIES)).await?);
        }
        hashing.abort();
        Ok(lists)
    }

    /// Uploads `inputs` as the files of shards: `divide` is told names and sizes and says which indexes each shard gets.
    /// Answers one list per shard, in order.
    pub async fn upload_shards(
        &self,
        inputs: Vec<Input>,
        divide: impl FnOnce(&[(&str, u64)]) -> Vec<Vec<usize>>,
        progress: ProgressFn,
    ) -> Result<Vec<BlobListRef>, UploadError> {
        let total = inputs.len();
        let mut upload = Upload::new(self, inputs, progress);
        let mut named = Vec::with_capacity(total);
        for start in (0..total).step_by(BATCH) {
            let range = start..total.min(start + BATCH);
            let hashed = upload.hash(range.clone()).await.map_err(|_| UploadError::Stopped)??;
            upload.put_inputs(range.clone(), &hashed).await?;
            named.extend(upload.named(range, &hashed));
        }
        let sizes: Vec<(&str, u64)> = named.iter().map(|blob| (blob.path.as_str(), blob.size)).collect();
        let shards = divide(&sizes);
        let files = |shard: &Vec<usize>| -> Vec<NamedBlob> { shard.iter().map(|&i| named[i].clone()).collect() };
        let lists: Vec<Vec<NamedBlob>> = shards.iter().map(files).collect();
        upload.put_lists(lists.iter().map(Vec::as_slice)).await
    }
}

struct Upload<'a> {
    client: &'a Client,
    inputs: Arc<Vec<Input>>,
    tracker: Arc<Tracker>,
}

type Hashing = tokio::task::JoinHandle<Result<Vec<Hashed>, UploadError>>;

impl Upload<'_> {
    fn new(client: &Client, inputs: Vec<Input>, progress: ProgressFn) -> Upload<'_> {
        Upload { client, tracker: Arc::new(Tracker::new(inputs.len() as u64, progress)), inputs: Arc::new(inputs) }
    }

    fn hash(&mut self, range: Range<usize>) -> Hashing {
        tokio::spawn(hash::hash(self.inputs.clone(), range, self.tracker.clone()))
    }

    async fn put_inputs(&self, range: Range<usize>, hashed: &[Hashed]) -> Result<(), UploadError> {
        let mut seen = HashSet::new();
        let blobs: Vec<Putting> = self.inputs[range]
            .iter()
            .zip(hashed)
            .filter(|(_, hashed)| seen.insert(hashed.digest))
            .map(|(input, hashed)| Putting::new(*hashed, input.source.clone()))
            .collect();
        self.put_missing(blobs).await
    }

    fn named(&self, range: Range<usize>, hashed: &[Hashed]) -> Vec<NamedBlob> {
        let name = |(input, hashed): (&Input, &Hashed)| NamedBlob {
            path: input.path.clone(),
            digest: hashed.digest.to_wire(),
            size: hashed.size,
            inline: None,
        };
        self.inputs[range].iter().zip(hashed).map(name).collect()
    }

    async fn put_lists(&self, lists: impl Iterator<Item = &[NamedBlob]>) -> Result<Vec<BlobListRef>, UploadError> {
        let (mut refs, mut blobs, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
        for list in lists {
            let bytes = Bytes::from(BlobList { blobs: list.to_vec() }.encode_to_vec());
            let (digest, size) = (Digest::of(&bytes), bytes.len() as u64);
            refs.push(BlobListRef {
                digest: digest.to_wire(),
                count: list.len() as u64,
                // The coordinator knows, and fills it in for workers.
                size: 0,
            });
            if seen.insert(digest) {
                blobs.push(Putting::new(Hashed { digest, size }, Source::Bytes(bytes)));
            }
        }
        self.put_missing(blobs).await?;
        Ok(refs)
    }

    /// Puts those of `blobs` (at most a batch, each once) that the coordinator lacks.
    async fn put_missing(&self, blobs: Vec<Putting>) -> Result<(), UploadError> {
        if blobs.is_empty() {
            return Ok(());
        }
        let blobs = Arc::new(blobs);
        retry::again(|| async {
            let missing = self.missing(&blobs).await?;
            let wanted = blobs.iter().filter(|blob| missing.contains(&blob.digest));
            put::put(self.client, wanted.cloned().collect(), &self.tracker).await
        })
        .await
    }

    async fn missing(&self, blobs: &[Putting]) -> Result<HashSet<Digest>, CallError> {
        let request = MissingRequest { digests: blobs.iter().map(|blob| blob.digest.to_wire()).collect() };
        let answer = self.client.blobs_rpc().missing(request).await;
        let answer = answer.map_err(|s| self.client.failed("ask which inputs are missing", s))?;
        let digests = answer.into_inner().digests;
        Ok(digests.iter().filter_map(|digest| Digest::from_wire(digest)).collect())
    }
}
