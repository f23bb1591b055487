//! One output of a job.

use std::sync::Arc;

use bytes::Bytes;
use longshore_proto::{Digest, SMALL_BLOB_BYTES};

use crate::out_dir::Place;

/// One output file of a job.
#[derive(Debug, Clone)]
pub struct Output {
    /// Where it goes below the directory.
    pub path: String,
    /// Its bytes' name.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Whether it is a program.
    pub executable: bool,
    /// Path of the item that left it.
    pub item: Arc<str>,
    pub(super) inline: Option<Bytes>,
}

impl Output {
    /// Where it goes below the directory, and as what.
    pub(super) fn place(&self) -> Place<'_> {
        Place { path: &self.path, executable: self.executable }
    }

    pub(super) fn is_large(&self) -> bool {
        self.size > SMALL_BLOB_BYTES as u64
    }
}
