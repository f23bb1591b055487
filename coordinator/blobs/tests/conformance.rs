//! The conformance suite, run for each store of blobs.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use longshore_blobs::{LocalBlobs, MemoryBlobs, conformance};

#[test]
fn blobs_on_disk_conform() {
    conformance::run(
        || tempfile::tempdir().unwrap(),
        |dir| Arc::new(LocalBlobs::open(dir.path(), &[], false).unwrap().blobs),
    );
}

#[test]
fn blobs_in_memory_conform() {
    conformance::run(MemoryBlobs::default, |blobs| Arc::new(blobs.clone()));
}
