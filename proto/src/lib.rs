//! The wire contract of Longshore: what clients, coordinator and workers say to each other.
//!
//! The `.proto` files under `proto/longshore/v1` are the documents to read; this crate carries the types generated from
//! them, and beside them what both ends have to agree on: bounds, what a path may be, and what names a
//! blob. It knows nothing of the rest of the project.

// A test that unwraps says where it failed.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod bounds;
pub mod digest;
pub mod field;
pub mod head;
mod hidden;
pub mod image;
pub mod namespace;
pub mod path;
pub mod require;
pub mod secret;
pub mod tenure;
pub mod version;

pub use bounds::{CHUNK_BYTES, DIGEST_BYTES, MAX_MESSAGE_BYTES, SMALL_BLOB_BYTES};
pub use digest::Digest;
pub use image::ImageDigest;
pub use tenure::Tenure;

// Generated code documents itself in the .proto files.
#[allow(missing_docs, clippy::all, clippy::unwrap_used)]
/// Messages and services of `longshore.v1`.
pub mod v1 {
    tonic::include_proto!("longshore.v1");
}

/// The compiled descriptors, for gRPC server reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/longshore.bin"));

/// Metadata key under which a worker shows the proof of its link (`Welcome.proof`).
pub const LINK_METADATA: &str = "longshore-link-bin";

/// Metadata key of a refusal that is for good, where a worker has to know that: what has become of it.
pub const END_METADATA: &str = "longshore-end";

/// What that says of a worker that was revoked.
pub const REVOKED: &str = "revoked";

/// Metadata key and header that names whose things a request is about; without it, those of the caller's own namespace.
pub const NAMESPACE_METADATA: &str = "longshore-namespace";
