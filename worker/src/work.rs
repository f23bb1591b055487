//! What goes into the executor and what comes out: attempts, and how they ended.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use longshore_proto::{
    ImageDigest,
    v1::{Failure, Missing, NamedBlob, Stage},
};

pub use crate::secrets::Secrets;

/// An attempt's name: the coordinator's epoch, and its number there.
pub type WorkId = (u64, u64);

/// One attempt to carry out.
#[derive(Debug, Clone)]
pub struct Work {
    /// The attempt's name.
    pub id: WorkId,
    /// The job's id.
    pub job: [u8; 16],
    /// Whose job it is; empty for the namespace that nobody names. Nothing of it is shared with another's.
    pub namespace: Arc<str>,
    /// The job's name, for people and for `{job}`.
    pub job_name: String,
    /// Which stage of the job, from 0.
    pub stage_index: u32,
    /// The stage. Attempts that share one share the allocation, which spares work per item.
    pub stage: Arc<Stage>,
    /// Which image its runs are of, where that was agreed on.
    pub image: Option<ImageDigest>,
    /// The item's number in its stage, from 0.
    pub index: u64,
    /// Which try this is, from 1.
    pub attempt: u32,
    /// The item's path: of its input for a map stage, the stage's name for a gather.
    pub path: String,
    /// One for a map stage, all parts in order for a gather.
    pub inputs: Vec<NamedBlob>,
    /// Whether the inputs are parts to be put together.
    pub gather: bool,
    /// What is not among the parts.
    pub missing: Missing,
    /// What the stage's container names of secrets.
    pub secrets: Secrets,
}

/// An attempt that has ended here.
#[derive(Debug)]
pub struct Finished {
    /// The attempt's name.
    pub id: WorkId,
    /// The job's id.
    pub job: [u8; 16],
    /// Whose job it is.
    pub namespace: Arc<str>,
    /// Which stage of the job.
    pub stage_index: u32,
    /// The item's number in its stage.
    pub index: u64,
    /// How it ended.
    pub ended: Ended,
    /// Wall time of the run itself; zero when it never started.
    pub duration: Duration,
    /// What it wrote to standard output, where that was not its output; bounded, with a marker where cut.
    pub stdout_log: Bytes,
    /// What it wrote to standard error; bounded likewise.
    pub stderr_log: Bytes,
}

/// How an attempt ended.
#[derive(Debug)]
pub enum Ended {
    /// The command succeeded and these are all its outputs, in order of their paths.
    Success {
        /// Nothing is left out.
        outputs: Vec<Output>,
    },
    /// It failed.
    Failure(Failure),
    /// It was given back before it started.
    Returned,
}

/// One output of a successful attempt.
#[derive(Debug)]
pub struct Output {
    /// The directory of the item's path, joined with the file's path below the run's output directory.
    pub path: String,
    /// BLAKE3 of the bytes, where they were read already; a file's may still have to be.
    pub digest: Option<blake3::Hash>,
    /// Their number.
    pub size: u64,
    /// Whether it is a program: its owner may execute it.
    pub executable: bool,
    /// The bytes.
    pub content: Content,
}

/// Where an output's bytes are.
#[derive(Debug, Clone)]
pub enum Content {
    /// Here: at most `SMALL_BLOB_BYTES` each, and a few MiB per attempt.
    Inline(Bytes),
    /// In a file. Mostly large ones; small ones too when an attempt has very many.
    File(Arc<OwnedFile>),
}

/// A file that is ours alone and is removed when this is dropped.
#[derive(Debug)]
pub struct OwnedFile(PathBuf);

impl OwnedFile {
    /// Takes charge of an existing file.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for OwnedFile {
    fn drop(&mut self) {
        // Already gone when somebody renamed it to where it shall stay.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A namespace as the coordinator names it; none where that is no name. It stands in names of directories.
pub(crate) fn namespace(name: &str) -> Option<Arc<str>> {
    (name.is_empty() || longshore_proto::namespace::check(name).is_ok()).then(|| name.into())
}

impl Work {
    /// This attempt's end, without logs, and without a secret in what it says.
    #[must_use]
    pub fn ended(&self, mut ended: Ended) -> Finished {
        if let Ended::Failure(failure) = &mut ended {
            self.secrets.hide_in_failure(failure);
        }
        Finished {
            id: self.id,
            job: self.job,
            namespace: Arc::clone(&self.namespace),
            stage_index: self.stage_index,
            index: self.index,
            ended,
            duration: Duration::ZERO,
            stdout_log: Bytes::new(),
            stderr_log: Bytes::new(),
        }
    }
}
