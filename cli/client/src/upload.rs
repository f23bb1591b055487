//! Inputs become blobs, and lists of them blobs too.
//!
//! ```text
//! runs of inputs, read and hashed ──┐
//! lists of those that are complete ─┴─► batch ──► which are missing? ──► put those
//! ```
//!
//! A few batches are under way at once, so that reading, sending and the coordinator's syncs overlap. Everything here is
//! harmless twice, so a batch that met a restarting coordinator is simply done again.

mod error;
mod progress;
mod put;
mod read;

use std::{collections::HashSet, ops::Range, sync::Arc};

use bytes::Bytes;
use longshore_proto::{
    Digest, bounds,
    v1::{BlobList, BlobListRef, MissingRequest, NamedBlob},
};
use prost::Message;
use tokio::task::JoinSet;

pub use self::{
    error::UploadError,
    progress::{ProgressFn, UploadProgress},
};
use self::{
    progress::Tracker,
    put::Putting,
    read::{Hashed, Run, STRETCH},
};
use crate::{
    CallError, Client,
    inputs::{Input, LeftOut, Source},
};

/// Blobs asked about at once, well below what one Missing request may name.
const BATCH: usize = 4_096;

/// Bytes held in memory by one batch, above which it travels.
const BATCH_BYTES: u64 = 8 << 20;

/// Bytes of large files in one batch, above which it travels.
const BATCH_FILE_BYTES: u64 = 64 << 20;

/// Bytes of a batch that is put without asking what is missing: a round trip takes longer than they do.
const LITTLE_BYTES: u64 = 64 << 10;

/// Batches under way at once.
const UNDER_WAY: usize = 3;

/// Entries of one list of inputs: a list with names of usual length is a small blob.
const LIST_ENTRIES: usize = STRETCH;

/// Entries of one list, of inputs so many that a submission could not name shorter ones.
const LONG_LIST_ENTRIES: usize = 8 * STRETCH;

const _: () = assert!(LONG_LIST_ENTRIES as u64 <= bounds::LIST_ENTRIES);

/// Inputs from which on lists are long.
const MANY_INPUTS: usize = 20_000_000;

impl Client {
    /// Uploads what the coordinator lacks of `inputs` and of the lists that name them; answers the lists, in order, of at
    /// most 4,096 entries each. Durable when it returns. Files that cannot be read, or change meanwhile, are `left_out`, if that is
    /// wanted, and in no list.
    pub async fn upload(
        &self,
        inputs: Vec<Input>,
        left_out: Option<LeftOut>,
        progress: ProgressFn,
    ) -> Result<Vec<BlobListRef>, UploadError> {
        let entries = if inputs.len() < MANY_INPUTS { LIST_ENTRIES } else { LONG_LIST_ENTRIES };
        let mut upload = Upload::new(self, inputs, progress);
        let mut lists = Lists::new(upload.inputs.len(), entries);
        let mut runs = read::start(upload.inputs.clone(), left_out, upload.tracker.clone());
        while let Some(run) = runs.recv().await {
            let read = upload.take(run?);
            if let Some(range) = lists.completed_by(read) {
                let (list, blob) = encoded(upload.named(range.clone()));
                let is_empty = list.count == 0;
                lists.refs[range.start / entries] = list;
                if !is_empty {
                    upload.batch.extend([blob]);
                }
            }
            upload.put_if_full().await?;
        }
        upload.finish().await?;
        lists.refs.retain(|list| list.count > 0);
        Ok(lists.refs)
    }

    /// Uploads what the coordinator lacks of the bytes that files bring, and leaves their names. Durable when it returns.
    pub async fn upload_sent<'a>(&self, files: impl Iterator<Item = &'a mut NamedBlob>) -> Result<(), UploadError> {
        let mut upload = Upload::new(self, Vec::new(), Arc::new(|_| {}));
        for bytes in files.filter_map(|file| file.inline.take()) {
            let (digest, size) = (Digest::of(&bytes), bytes.len() as u64);
            let hashed = Hashed { digest, size, executable: false };
            upload.batch.extend([Putting::new(hashed, Source::Bytes(bytes))]);
            upload.put_if_full().await?;
        }
        upload.finish().await
    }

    /// Uploads `inputs` as the files of shards: `divide` is told names and sizes and says which indexes each shard gets.
    /// Answers one list per shard, in order.
    pub async fn upload_shards(
        &self,
        inputs: Vec<Input>,
        divide: impl FnOnce(&[(&str, u64)]) -> Vec<Vec<usize>>,
        progress: ProgressFn,
    ) -> Result<Vec<BlobListRef>, UploadError> {
        let mut upload = Upload::new(self, inputs, progress);
        let mut runs = read::start(upload.inputs.clone(), None, upload.tracker.clone());
        while let Some(run) = runs.recv().await {
            upload.take(run?);
            upload.put_if_full().await?;
        }
        let named = upload.named(0..upload.inputs.len());
        let sizes: Vec<(&str, u64)> = named.iter().map(|blob| (blob.path.as_str(), blob.size)).collect();
        let mut refs = Vec::new();
        for shard in divide(&sizes) {
            let files: Vec<NamedBlob> = shard.iter().map(|&i| named[i].clone()).collect();
            let (list, blob) = encoded(files);
            refs.push(list);
            upload.batch.extend([blob]);
            upload.put_if_full().await?;
        }
        upload.finish().await?;
        Ok(refs)
    }
}

/// An upload under way.
struct Upload<'a> {
    client: &'a Client,
    inputs: Arc<Vec<Input>>,
    /// What is known of each input by now.
    hashed: Vec<Option<Hashed>>,
    tracker: Arc<Tracker>,
    batch: Batch,
    under_way: JoinSet<Result<(), UploadError>>,
}

impl Upload<'_> {
    fn new(client: &Client, inputs: Vec<Input>, progress: ProgressFn) -> Upload<'_> {
        Upload {
            client,
            hashed: vec![None; inputs.len()],
            tracker: Arc::new(Tracker::new(inputs.len() as u64, progress)),
            inputs: Arc::new(inputs),
            batch: Batch::default(),
            under_way: JoinSet::new(),
        }
    }

    /// Adds inputs to the batch; answers which they are.
    fn take(&mut self, run: Run) -> Range<usize> {
        let Run { start, inputs: read } = run;
        let range = start..start + read.len();
        let inputs = &self.inputs[start..];
        let each = read.into_iter().zip(inputs).zip(&mut self.hashed[start..]);
        self.batch.extend(each.filter_map(|((read, input), place)| {
            let (hashed, bytes) = read?;
            *place = Some(hashed);
            Some(Putting::new(hashed, bytes.map_or_else(|| input.source.clone(), Source::Bytes)))
        }));
        range
    }

    /// Names of inputs that were read.
    fn named(&self, range: Range<usize>) -> Vec<NamedBlob> {
        let both = self.inputs[range.clone()].iter().zip(&self.hashed[range]);
        let name = |(input, hashed): (&Input, &Option<Hashed>)| {
            hashed.map(|hashed| NamedBlob {
                path: input.path.clone(),
                digest: hashed.digest.to_wire(),
                size: hashed.size,
                executable: hashed.executable,
                inline: None,
                origin: String::new(),
            })
        };
        both.filter_map(name).collect()
    }

    async fn put_if_full(&mut self) -> Result<(), UploadError> {
        if self.batch.is_full() { self.put().await } else { Ok(()) }
    }

    /// Sends the batch on its way, once there is room for one more.
    async fn put(&mut self) -> Result<(), UploadError> {
        while self.under_way.len() >= UNDER_WAY {
            self.one_done().await?;
        }
        let (client, tracker) = (self.client.clone(), self.tracker.clone());
        let blobs = Arc::new(std::mem::take(&mut self.batch).blobs);
        self.under_way.spawn(async move {
            client
                .again(|| async {
                    let wanted = if is_little(&blobs) { blobs.to_vec() } else { wanted(&client, &blobs).await? };
                    put::put(&client, wanted, &tracker).await
                })
                .await
        });
        Ok(())
    }

    async fn one_done(&mut self) -> Result<(), UploadError> {
        match self.under_way.join_next().await {
            Some(done) => done.map_err(|_| UploadError::Stopped)?,
            None => Ok(()),
        }
    }

    /// Returns when everything is durable.
    async fn finish(mut self) -> Result<(), UploadError> {
        if !self.batch.blobs.is_empty() {
            self.put().await?;
        }
        while !self.under_way.is_empty() {
            self.one_done().await?;
        }
        Ok(())
    }
}

/// Whether these are sent sooner than it is asked who lacks them.
fn is_little(blobs: &[Putting]) -> bool {
    blobs.iter().all(|blob| blob.file_bytes() == 0)
        && blobs.iter().map(Putting::held_bytes).sum::<u64>() <= LITTLE_BYTES
}

/// Those of these that the coordinator lacks.
async fn wanted(client: &Client, blobs: &[Putting]) -> Result<Vec<Putting>, CallError> {
    let missing = missing(client, blobs).await?;
    Ok(blobs.iter().filter(|blob| missing.contains(&blob.digest)).cloned().collect())
}

/// Which of these the coordinator lacks.
async fn missing(client: &Client, blobs: &[Putting]) -> Result<HashSet<Digest>, CallError> {
    let request = MissingRequest { digests: blobs.iter().map(|blob| blob.digest.to_wire()).collect() };
    let answer = client.blobs_rpc().missing(request).await;
    let digests = answer.map_err(|s| client.failed("ask which inputs are missing", s))?.into_inner().digests;
    Ok(digests.iter().filter_map(|digest| Digest::try_from(digest).ok()).collect())
}

/// Blobs that are asked about, and put, together; each once.
#[derive(Default)]
struct Batch {
    blobs: Vec<Putting>,
    seen: HashSet<Digest>,
    held_bytes: u64,
    file_bytes: u64,
}

impl Batch {
    fn extend(&mut self, blobs: impl IntoIterator<Item = Putting>) {
        for blob in blobs {
            if self.seen.insert(blob.digest) {
                self.held_bytes += blob.held_bytes();
                self.file_bytes += blob.file_bytes();
                self.blobs.push(blob);
            }
        }
    }

    fn is_full(&self) -> bool {
        self.blobs.len() >= BATCH || self.held_bytes >= BATCH_BYTES || self.file_bytes >= BATCH_FILE_BYTES
    }
}

/// Which lists are complete, while runs come in any order.
struct Lists {
    inputs: usize,
    entries: usize,
    /// Inputs that each list still waits for.
    waits: Vec<usize>,
    refs: Vec<BlobListRef>,
}

impl Lists {
    fn new(inputs: usize, entries: usize) -> Lists {
        let starts = (0..inputs).step_by(entries);
        let waits: Vec<usize> = starts.map(|start| entries.min(inputs - start)).collect();
        Lists { inputs, entries, refs: vec![BlobListRef::default(); waits.len()], waits }
    }

    /// The range of the list that a run completes, if it does.
    fn completed_by(&mut self, run: Range<usize>) -> Option<Range<usize>> {
        let at = run.start / self.entries;
        self.waits[at] -= run.len();
        (self.waits[at] == 0).then(|| at * self.entries..self.inputs.min((at + 1) * self.entries))
    }
}

/// A list as a blob.
fn encoded(files: Vec<NamedBlob>) -> (BlobListRef, Putting) {
    let count = files.len() as u64;
    let bytes = Bytes::from(BlobList { blobs: files }.encode_to_vec());
    let (digest, size) = (Digest::of(&bytes), bytes.len() as u64);
    // The coordinator knows the size, and fills it in for workers.
    let list = BlobListRef { digest: digest.to_wire(), count, size: 0 };
    (list, Putting::new(Hashed { digest, size, executable: false }, Source::Bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_complete_once_with_its_last_run_whatever_their_order() {
        let inputs = 2 * LIST_ENTRIES + 1;
        let mut lists = Lists::new(inputs, LIST_ENTRIES);
        let mut runs: Vec<Range<usize>> = (0..inputs).step_by(64).map(|start| start..inputs.min(start + 64)).collect();
        runs.reverse();
        let complete: Vec<Range<usize>> = runs.into_iter().filter_map(|run| lists.completed_by(run)).collect();
        assert_eq!(complete, [2 * LIST_ENTRIES..inputs, LIST_ENTRIES..2 * LIST_ENTRIES, 0..LIST_ENTRIES]);
    }

    #[test]
    fn little_is_little_all_together_and_never_a_file_that_is_yet_to_be_read() {
        let of = |size: u64, source| Putting::new(Hashed { digest: Digest::of(b""), size, executable: false }, source);
        let held = |size: u64| of(size, Source::Bytes(vec![0; size as usize].into()));
        assert!(is_little(&[held(LITTLE_BYTES - 1), held(1)]));
        assert!(!is_little(&[held(LITTLE_BYTES), held(1)]));
        assert!(!is_little(&[of(1, Source::File("large".into()))]));
    }

    #[test]
    fn a_batch_has_each_blob_once_and_is_full_by_its_bytes() {
        let of = |bytes: Vec<u8>| {
            let (digest, size) = (Digest::of(&bytes), bytes.len() as u64);
            let hashed = Hashed { digest, size, executable: false };
            Putting::new(hashed, Source::Bytes(bytes.into()))
        };
        let mut batch = Batch::default();
        batch.extend((0..1_000).map(|_| of(vec![1; 10_000])));
        assert_eq!(batch.blobs.len(), 1);
        assert!(!batch.is_full());
        batch.extend([of(vec![2; BATCH_BYTES as usize])]);
        assert!(batch.is_full());
    }
}
