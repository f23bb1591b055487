//! Bounds of blobs, packs and checkpoints.

/// The largest blob that can be appended to a pack.
pub const MAX_SMALL_BYTES: usize = 64 << 10;
/// A pack that has reached this size takes no more blobs.
pub const MAX_PACK_BYTES: u64 = 256 << 20;
/// The most that a checkpoint answers at a time.
pub const MAX_CHECKPOINT: usize = 10_000;
