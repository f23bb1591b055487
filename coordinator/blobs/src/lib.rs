//! Content-addressed blobs on disk: small ones packed, large ones in files.
//!
//! A blob is bytes named by their BLAKE3 digest. Blobs of at most [`MAX_SMALL_BYTES`] can be appended to packs, so that a
//! hundred thousand small inputs cost a handful of syncs; any other is one read-only file, written aside, synced and
//! renamed. What was synced survives kill -9 and power loss; what is read is verified, so damage is an error and never
//! wrong bytes.
//!
//! This crate does not know who refers to a blob, and never deletes one by itself.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod blobs;
mod chunks;
mod durability;
mod error;
mod files;
mod index;
mod listing;
mod pack;
mod packs;
mod writer;

pub use blake3::Hash;
pub use blobs::{Appended, Blobs, Stats};
pub use chunks::Chunks;
pub use error::{GetError, OpenError, PutError};
pub use writer::Writer;

/// The largest blob that can be appended to a pack.
pub const MAX_SMALL_BYTES: usize = 64 << 10;
/// A pack that has reached this size takes no more blobs.
pub const MAX_PACK_BYTES: u64 = 256 << 20;
