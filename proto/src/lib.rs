//! The wire contract of Longshore: what clients, coordinator and workers say to each other.
//!
//! The `.proto` files under `proto/longshore/v1` are the documents to read; this crate only carries the types
//! generated from them. It knows nothing of the rest of the project.

// Generated code documents itself in the .proto files.
#[allow(missing_docs, clippy::all, clippy::unwrap_used)]
/// Messages and services of `longshore.v1`.
pub mod v1 {
    tonic::include_proto!("longshore.v1");
}

/// The compiled descriptors, for gRPC server reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/longshore.bin"));

/// Length in bytes of a blob's digest (BLAKE3).
pub const DIGEST_BYTES: usize = 32;

/// Blobs up to this size (bytes) travel inside other messages and live in packs; larger ones are streamed.
pub const SMALL_BLOB_BYTES: usize = 64 * 1024;

/// Payload bytes of one chunk of a streamed blob, query or answer.
pub const CHUNK_BYTES: usize = 256 * 1024;

/// Metadata key under which a worker shows the proof of its link (`Welcome.proof`).
pub const LINK_METADATA: &str = "longshore-link-bin";

/// Largest gRPC message either side accepts, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;
