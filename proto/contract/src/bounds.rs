//! How much there may be of what is sent to an image and of what it answers, one number each.

/// Bytes of one answer of a leaf or merge: it is held in memory while its query runs, with those of all other shards.
pub const ANSWER_BYTES: u64 = 64 << 20;

/// Bytes of all parts of one request together. A query whose leaves answer more than that fails before its merge is asked,
/// as it has all of them in memory; a server that takes less cannot be a gather or merge for everything that is allowed.
pub const PARTS_BYTES: u64 = 256 << 20;

/// Bytes of a request's body that a server has to take: all parts, and room for what stands before each of them.
///
/// A part's boundary and headers take some 200 bytes and the path of its file; 16 MiB are room for tens of thousands.
pub const BODY_BYTES: u64 = PARTS_BYTES + (16 << 20);

const _: () = assert!(ANSWER_BYTES <= PARTS_BYTES, "one answer is one part of the next request");
