//! Bringing the outputs of a job back into a directory.
//!
//! First every output is listed and every conflict found; only then is anything written. A blob that stops half way leaves
//! no file behind.

mod writer;

use std::{collections::HashMap, path::Path, sync::Arc};

use bytes::Bytes;
use longshore_proto::v1::{ItemState, ItemView, ItemsRequest};
use tokio::sync::mpsc;

use self::writer::WriteStep;
use crate::{
    BadPath, BlobError, CallError, Client, Digest, Kind, OutDir, OutDirError, Piece,
    blobs::ASK_AT_ONCE,
    check_path, escape,
    retry::{self, Transient},
};

/// Pieces between the connection and the disk.
const QUEUE: usize = 16;

/// One output file of a job.
#[derive(Debug, Clone)]
pub struct Output {
    /// Where it goes below the directory.
    pub path: String,
    /// Its bytes' name.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Path of the item that left it.
    pub item: Arc<str>,
    inline: Option<Bytes>,
}

/// Outputs cannot be brought back.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The coordinator could not be asked.
    #[error(transparent)]
    Call(#[from] CallError),
    /// An output did not come, or not whole.
    #[error("cannot fetch outputs")]
    Blob(#[from] BlobError),
    /// An output cannot be written.
    #[error("cannot write outputs")]
    Write(#[from] OutDirError),
    /// An output has a name no output may have.
    #[error("item {} left output {}: {reason}", escape::line(item), escape::line(path))]
    BadName {
        /// Whose output.
        item: String,
        /// Its name.
        path: String,
        /// What is wrong with it.
        reason: BadPath,
    },
    /// An output with a digest that is none.
    #[error("output {} of item {} has no valid digest", escape::line(path), escape::line(item))]
    BadDigest {
        /// Whose output.
        item: String,
        /// Its name.
        path: String,
    },
    /// Two items left the same output, or one a file where the other needs a directory.
    #[error(
        "items {} and {} both left output {}; nothing was written",
        escape::line(first),
        escape::line(second),
        escape::line(path)
    )]
    Conflict {
        /// The output.
        path: String,
        /// One item.
        first: String,
        /// The other.
        second: String,
    },
    /// The program is shutting down.
    #[error("the fetch was stopped")]
    Stopped,
}

impl OutputError {
    /// Whose move it is.
    pub fn kind(&self) -> Kind {
        match self {
            OutputError::Call(error) => error.kind(),
            OutputError::Blob(error) => error.kind(),
            OutputError::Write(_) | OutputError::BadName { .. } | OutputError::Conflict { .. } => Kind::Refused,
            OutputError::BadDigest { .. } => Kind::Broken,
            OutputError::Stopped => Kind::Unavailable,
        }
    }
}

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
    /// The outputs of what has succeeded in the job's last stage, by path.
    ///
    /// Fails with [`OutputError::Conflict`] when two of them cannot stand in one directory.
    pub async fn outputs(&self, job_id: &str) -> Result<Vec<Output>, OutputError> {
        let request = ItemsRequest {
            job_id: job_id.to_owned(),
            stages: Vec::new(),
            state: ItemState::Succeeded.into(),
            last_stage: true,
        };
        let mut items = self.items(request).await?;
        let mut outputs = Vec::new();
        while let Some(page) = items.next_page().await? {
            for item in page {
                add_outputs(&mut outputs, item)?;
            }
        }
        outputs.sort_unstable_by(|a, b| a.path.cmp(&b.path));
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
        let (steps, queue) = mpsc::channel(QUEUE);
        let outputs = Arc::new(outputs);
        let for_writer = outputs.clone();
        let writing = tokio::task::spawn_blocking(move || writer::write_all(dir, &for_writer, queue));
        let mut fetch = Fetch {
            client: self,
            outputs: &outputs,
            steps,
            done: 0,
            progress: FetchProgress { files: outputs.len() as u64, ..FetchProgress::default() },
        };
        let fetched = fetch.all(&mut progress).await;
        let totals = fetch.progress;
        drop(fetch);
        // What stopped the writer is why the fetch stopped, if it did.
        writing.await.map_err(|_| OutputError::Stopped)??;
        fetched.map(|()| totals)
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
        if let Err(reason) = check_path(&blob.path) {
            return Err(OutputError::BadName { item: name.to_string(), path: blob.path, reason });
        }
        let Some(digest) = Digest::from_wire(&blob.digest) else {
            return Err(OutputError::BadDigest { item: name.to_string(), path: blob.path });
        };
        outputs.push(Output {
            path: blob.path,
            digest,
            size: blob.size,
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

/// The receiving half of a fetch: what is done stays done when the connection is lost and made again.
struct Fetch<'a> {
    client: &'a Client,
    outputs: &'a [Output],
    steps: mpsc::Sender<WriteStep>,
    done: usize,
    progress: FetchProgress,
}

impl Fetch<'_> {
    async fn all(&mut self, report: &mut impl FnMut(FetchProgress)) -> Result<(), OutputError> {
        let mut pauses = retry::pauses();
        while self.done < self.outputs.len() {
            let before = self.done;
            match self.some(report).await {
                Ok(()) => {}
                Err(OutputError::Blob(error)) if error.is_transient() => {
                    if self.done > before {
                        pauses = retry::pauses();
                    }
                    let Some(pause) = pauses.next() else {
                        return Err(error.into());
                    };
                    tokio::time::sleep(pause).await;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The next output if its bytes are at hand, else as many as one request may name.
    async fn some(&mut self, report: &mut impl FnMut(FetchProgress)) -> Result<(), OutputError> {
        let rest = &self.outputs[self.done..];
        if let Some(bytes) = &rest[0].inline {
            return self.piece(Piece::Whole(bytes.clone()), report).await;
        }
        let wanted = rest.iter().take_while(|output| output.inline.is_none()).take(ASK_AT_ONCE);
        let mut blobs = self.client.blobs(wanted.map(|output| output.digest).collect()).await?;
        while let Some(piece) = blobs.next().await? {
            self.piece(piece, report).await?;
        }
        Ok(())
    }

    async fn piece(&mut self, piece: Piece, report: &mut impl FnMut(FetchProgress)) -> Result<(), OutputError> {
        let (bytes, ends) = match &piece {
            Piece::Whole(bytes) => (bytes.len(), true),
            Piece::Data(bytes) => (bytes.len(), false),
            Piece::Start(_) => (0, false),
            Piece::End => (0, true),
        };
        let step = WriteStep { output: self.done, piece };
        self.steps.send(step).await.map_err(|_| OutputError::Stopped)?;
        self.done += usize::from(ends);
        self.progress.fetched += u64::from(ends);
        self.progress.bytes += bytes as u64;
        report(self.progress);
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
    fn an_output_never_leads_out_of_the_directory() {
        for path in ["../x", "/etc/passwd", "a/../../b", "a\u{1b}b"] {
            assert!(matches!(outputs(&[("1", path)]), Err(OutputError::BadName { .. })), "{path:?}");
        }
    }
}
