//! Bringing the outputs of a job back into a directory.
//!
//! First every output is listed and every conflict found; only then is anything written. A blob that stops half way leaves
//! no file behind.

mod error;
mod output;
mod writer;

use std::{
    collections::HashMap,
    fs::File,
    ops::Range,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use longshore_proto::{
    Digest, path,
    v1::{ItemState, ItemView, ItemsRequest},
};
use tokio::{sync::mpsc, task::JoinSet};

use self::writer::{Came, Write};
pub use self::{error::OutputError, output::Output};
use crate::{Client, OutDir, Piece, blobs::Received, door::Door, retry::Trouble};

/// Messages between the connection and the disk.
const QUEUE: usize = 4;

/// Parts of the outputs that are fetched and written side by side. Making files is the processor's work, mostly.
const LANES: usize = 2;

/// Outputs asked for in one request.
const ASK_AT_ONCE: usize = 1_024;

/// Bytes asked for in one request, beside one output more.
const ASK_BYTES: u64 = 32 << 20;

/// How far a fetch is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FetchProgress {
    /// Files in all.
    pub files: u64,
    /// Files received whole.
    pub fetched: u64,
    /// Bytes received.
    pub bytes: u64,
}

impl Client {
    /// The outputs of what has succeeded in the job's last stage, in the order of the inputs they come from.
    ///
    /// Fails with [`OutputError::Conflict`] when two of them cannot stand in one directory.
    pub async fn outputs(&self, job_id: &str) -> Result<Vec<Output>, OutputError> {
        self.outputs_of(job_id, Vec::new(), Vec::new()).await
    }

    /// The same of the items of these paths in these stages; none means all, and the last one. Whatever is committed is there,
    /// however the job has ended, or before it has.
    pub async fn outputs_of(
        &self,
        job_id: &str,
        stages: Vec<String>,
        paths: Vec<String>,
    ) -> Result<Vec<Output>, OutputError> {
        let request = ItemsRequest {
            job_id: job_id.to_owned(),
            last_stage: stages.is_empty(),
            stages,
            state: ItemState::Succeeded.into(),
            small_outputs: true,
            paths,
            ..ItemsRequest::default()
        };
        let mut items = self.items(request).await?;
        let mut outputs = Vec::new();
        while let Some(page) = items.next_page().await? {
            for item in page {
                add_outputs(&mut outputs, item)?;
            }
        }
        check_conflicts(&outputs)?;
        Ok(outputs)
    }

    /// Writes `outputs` below `dir`, each verified and put in place whole.
    pub async fn fetch(
        &self,
        outputs: Vec<Output>,
        dir: OutDir,
        mut progress: impl FnMut(FetchProgress),
    ) -> Result<FetchProgress, OutputError> {
        outputs.iter().try_for_each(|output| dir.ensure_unprotected(&output.path))?;
        let mut totals = FetchProgress { files: outputs.len() as u64, ..FetchProgress::default() };
        let (come, mut coming) = mpsc::channel(LANES * QUEUE);
        let parts = Arc::new(parts(&outputs));
        let (outputs, next) = (Arc::new(outputs), Arc::new(AtomicUsize::new(0)));
        let mut lanes = JoinSet::new();
        for _ in 0..LANES.min(parts.len()) {
            let lane = Lane { client: self.clone(), door: None, outputs: outputs.clone(), come: come.clone() };
            lanes.spawn(lane.fetch(parts.clone(), next.clone(), dir.clone()));
        }
        drop(come);
        while !lanes.is_empty() {
            tokio::select! {
                Some(Come { files, bytes }) = coming.recv() => {
                    totals.fetched += files;
                    totals.bytes += bytes;
                    progress(totals);
                }
                // What comes first is told first; the other lanes end with the set, if this one has failed.
                Some(lane) = lanes.join_next() => lane.map_err(|_| OutputError::Stopped)??,
            }
        }
        while let Some(Come { files, bytes }) = coming.recv().await {
            totals.fetched += files;
            totals.bytes += bytes;
            progress(totals);
        }
        Ok(totals)
    }

    /// As [`Client::fetch`], into the directory `dir`, which is made if need be.
    pub async fn fetch_into(
        &self,
        outputs: Vec<Output>,
        dir: &Path,
        progress: impl FnMut(FetchProgress),
    ) -> Result<FetchProgress, OutputError> {
        self.fetch(outputs, OutDir::open(dir)?, progress).await
    }
}

fn add_outputs(outputs: &mut Vec<Output>, item: ItemView) -> Result<(), OutputError> {
    let name: Arc<str> = item.path.into();
    for blob in item.outputs {
        if let Err(reason) = path::check(&blob.path) {
            return Err(OutputError::BadName { item: name.to_string(), path: blob.path, reason });
        }
        let Ok(digest) = Digest::try_from(&blob.digest) else {
            return Err(OutputError::BadDigest { item: name.to_string(), path: blob.path });
        };
        outputs.push(Output {
            path: blob.path,
            digest,
            size: blob.size,
            executable: blob.executable,
            item: name.clone(),
            inline: blob.inline.filter(|bytes| Digest::of(bytes) == digest),
        });
    }
    Ok(())
}

/// Finds two outputs of one path, and a file where another output needs a directory.
fn check_conflicts(outputs: &[Output]) -> Result<(), OutputError> {
    let mut seen: HashMap<&str, &Output> = HashMap::with_capacity(outputs.len());
    for output in outputs {
        if let Some(first) = seen.insert(&output.path, output) {
            return Err(conflict(first, output));
        }
    }
    for output in outputs {
        let parents = output.path.match_indices('/').map(|(at, _)| &output.path[..at]);
        if let Some(first) = parents.filter_map(|parent| seen.get(parent)).next() {
            return Err(conflict(first, output));
        }
    }
    Ok(())
}

fn conflict(first: &Output, second: &Output) -> OutputError {
    OutputError::Conflict { path: first.path.clone(), first: first.item.to_string(), second: second.item.to_string() }
}

/// Ranges of outputs that are asked for together. Those whose bytes are at hand are among them.
fn parts(outputs: &[Output]) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (at, output) in outputs.iter().enumerate() {
        bytes += output.size;
        if at + 1 - start == ASK_AT_ONCE || bytes >= ASK_BYTES || at + 1 == outputs.len() {
            parts.push(start..at + 1);
            (start, bytes) = (at + 1, 0);
        }
    }
    parts
}

/// What has come since the last time.
struct Come {
    files: u64,
    bytes: u64,
}

/// One connection's worth of a fetch: it takes part after part.
struct Lane {
    client: Client,
    /// Large outputs come as descriptors where that can be.
    door: Option<Door>,
    outputs: Arc<Vec<Output>>,
    come: mpsc::Sender<Come>,
}

impl Lane {
    async fn fetch(
        mut self,
        parts: Arc<Vec<Range<usize>>>,
        next: Arc<AtomicUsize>,
        dir: OutDir,
    ) -> Result<(), OutputError> {
        let (writes, queue) = mpsc::channel(QUEUE);
        let outputs = self.outputs.clone();
        if outputs.iter().any(Output::is_large) {
            self.door = self.client.door().await;
        }
        let writing = tokio::task::spawn_blocking(move || writer::write_all(dir, &outputs, queue));
        let mut fetched = Ok(());
        while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
            fetched = self.part(part.clone(), &writes).await;
            if fetched.is_err() {
                break;
            }
        }
        drop(writes);
        // What stopped the writer is why the fetch stopped, if it did.
        writing.await.map_err(|_| OutputError::Stopped)??;
        fetched
    }

    /// What is done stays done when the connection is lost and made again.
    async fn part(&mut self, mut part: Range<usize>, writes: &mpsc::Sender<Write>) -> Result<(), OutputError> {
        let patience = self.client.patience.clone();
        let mut trouble = Trouble::default();
        while !part.is_empty() {
            let before = part.start;
            match self.some(&mut part, writes).await {
                Ok(()) => trouble.over(&patience),
                Err(OutputError::Blob(error)) => {
                    if part.start > before {
                        trouble = Trouble::default();
                    }
                    trouble.met(&patience, error).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The next output if its bytes or its file are at hand, else those up to the next that is.
    async fn some(&mut self, part: &mut Range<usize>, writes: &mpsc::Sender<Write>) -> Result<(), OutputError> {
        let outputs = self.outputs.clone();
        let rest = &outputs[part.clone()];
        if let Some(bytes) = &rest[0].inline {
            let small = Received::Small(vec![(rest[0].digest, bytes.clone())]);
            return self.pass(part, Came::Blobs(small), writes).await;
        }
        if let Some(file) = self.through_the_door(&rest[0]).await {
            return self.pass(part, Came::File(file, rest[0].size), writes).await;
        }
        let at_hand = |output: &&Output| output.inline.is_some() || (self.door.is_some() && output.is_large());
        let wanted = rest.iter().take_while(|output| !at_hand(output));
        let mut blobs = self.client.blobs(wanted.map(|output| output.digest).collect()).await?;
        while let Some(received) = blobs.receive().await? {
            self.pass(part, Came::Blobs(received), writes).await?;
        }
        Ok(())
    }

    async fn through_the_door(&mut self, output: &Output) -> Option<File> {
        let door = self.door.clone().filter(|_| output.is_large())?;
        let digest = output.digest;
        let file = tokio::task::spawn_blocking(move || door.get(digest)).await.ok().flatten();
        if file.is_none() {
            self.door = None;
        }
        file
    }

    /// Hands on what came for the first outputs of `part`, which is shortened by those that have come whole.
    async fn pass(&self, part: &mut Range<usize>, came: Came, writes: &mpsc::Sender<Write>) -> Result<(), OutputError> {
        let (files, bytes) = match &came {
            Came::Blobs(Received::Small(small)) => {
                (small.len(), small.iter().map(|(_, bytes)| bytes.len() as u64).sum())
            }
            Came::Blobs(Received::Large(Piece::Data(bytes))) => (0, bytes.len() as u64),
            Came::Blobs(Received::Large(Piece::Start(_))) => (0, 0),
            Came::Blobs(Received::Large(Piece::End | Piece::Whole(_))) => (1, 0),
            Came::File(_, size) => (1, *size),
        };
        let write = Write { output: part.start, came };
        writes.send(write).await.map_err(|_| OutputError::Stopped)?;
        part.start += files;
        // Nobody may be interested.
        let _ = self.come.send(Come { files: files as u64, bytes }).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use longshore_proto::v1::NamedBlob;

    use super::*;

    fn outputs(items: &[(&str, &str)]) -> Result<Vec<Output>, OutputError> {
        let mut outputs = Vec::new();
        for (item, path) in items {
            let blob =
                NamedBlob { path: (*path).to_owned(), digest: Digest::of(b"").to_wire(), ..NamedBlob::default() };
            let item = ItemView { path: (*item).to_owned(), outputs: vec![blob], ..ItemView::default() };
            add_outputs(&mut outputs, item)?;
        }
        check_conflicts(&outputs)?;
        Ok(outputs)
    }

    #[test]
    fn two_items_with_one_output_are_an_error_that_names_both() {
        let error = outputs(&[("a.jpg", "out.txt"), ("b.jpg", "out.txt")]).unwrap_err().to_string();
        for name in ["a.jpg", "b.jpg", "out.txt"] {
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn a_file_where_another_output_needs_a_directory_is_the_same_error() {
        assert!(matches!(outputs(&[("1", "a/b"), ("2", "a")]), Err(OutputError::Conflict { .. })));
        assert!(outputs(&[("1", "a/b"), ("2", "a.b"), ("3", "a/c")]).is_ok());
    }

    #[test]
    fn parts_cover_every_output_once_and_are_bounded() {
        let of = |size: u64| Output {
            path: String::new(),
            digest: Digest::of(b""),
            size,
            executable: false,
            item: "".into(),
            inline: None,
        };
        let sizes =
            std::iter::repeat_n(1, 3_000).chain([ASK_BYTES * 2, 5]).chain(std::iter::repeat_n(ASK_BYTES / 2, 5));
        let outputs: Vec<Output> = sizes.map(of).collect();
        let parts = parts(&outputs);
        assert_eq!(parts.iter().cloned().flatten().collect::<Vec<_>>(), (0..outputs.len()).collect::<Vec<_>>());
        for part in parts {
            let bytes: u64 = outputs[part.start..part.end - 1].iter().map(|output| output.size).sum();
            assert!(part.len() <= ASK_AT_ONCE && bytes < ASK_BYTES, "{part:?}");
        }
    }

    #[test]
    fn an_output_never_leads_out_of_the_directory() {
        for path in ["../x", "/etc/passwd", "a/../../b", "a\u{1b}b"] {
            assert!(matches!(outputs(&[("1", path)]), Err(OutputError::BadName { .. })), "{path:?}");
        }
    }
}
