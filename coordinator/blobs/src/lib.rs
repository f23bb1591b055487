//! Content-addressed blobs: the trait, its conformance suite, and blobs on disk, small ones packed, large ones in files.
//!
//! A blob is bytes named by their BLAKE3 digest. [`BlobStore`] is what every store of them does; what only one on this
//! machine's disk can do is its [`Handover`]. In [`LocalBlobs`] blobs of at most [`MAX_SMALL_BYTES`] can be appended to packs, so that a
//! hundred thousand small inputs cost a handful of syncs; any other is one read-only file, written aside, synced and
//! renamed. What was synced survives kill -9 and power loss; what is read is verified, so damage is an error and never
//! wrong bytes. What a checkpoint answered, kept with what refers to the blobs, tells loss from a torn end at the next
//! opening. [`MemoryBlobs`] are for tests.
//!
//! This crate does not know who refers to a blob, and never deletes one by itself.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod bounds;
pub mod conformance;
mod error;
mod handover;
mod inventory;
mod local;
mod memory;
mod store;

pub use blake3::Hash;
pub use bounds::{MAX_CHECKPOINT, MAX_PACK_BYTES, MAX_SMALL_BYTES};
pub use error::{GetError, OpenError, PutError};
pub use handover::Handover;
pub use inventory::{Harm, Holding, Loss};
pub use local::{Inspection, LocalBlobs, Opened, Progress};
pub use memory::MemoryBlobs;
pub use store::{Appended, BlobStore, BlobWriter, Chunks};
