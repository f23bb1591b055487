//! The typed Rust client of a Longshore coordinator.
//!
//! ```text
//! inputs ──► upload ──► jobs ──► watch ──► outputs ──► out_dir
//!               │                             │
//!               └────────── blobs ────────────┘       services, shards, workers
//! ```
//!
//! [`Client`] speaks the wire contract; [`inputs`] turns what a person typed into named items; [`outputs`] brings results
//! back into one directory and never writes outside it. Nothing here prints: progress goes to callbacks, errors are values.

// A test that unwraps says where it failed.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod address;
pub mod aims;
mod answering;
mod blobs;
mod client;
mod door;
mod error;
pub mod escape;
pub mod inputs;
mod jobs;
mod members;
mod namespace;
mod out_dir;
pub mod outputs;
mod retry;
mod secrets;
pub mod sent;
mod services;
pub mod shards;
mod upload;
mod watch;

pub use address::DEFAULT_ADDRESS;
pub use answering::{Answering, Next};
pub use blobs::{BlobError, BlobStream, Piece};
pub use client::Client;
pub use error::{CallError, Kind};
pub use inputs::InputError;
pub use jobs::{Items, Told};
pub use out_dir::{OutDir, OutDirError};
pub use retry::{Patience, Waiting};
pub use upload::{ProgressFn, UploadError, UploadProgress};
pub use watch::{JobWatch, has_ended};

/// What shows who calls, where the kernel does not say it.
pub use longshore_local::{Token, TokenError, TokenSource};
/// What a coordinator's answer says of an error.
pub use tonic::Code;

/// The messages of the wire contract, which this crate's API speaks in, and what they may have in them.
pub use longshore_proto::{
    Digest, bounds, field, head,
    namespace::{BadNamespace, DEFAULT as DEFAULT_NAMESPACE},
    path, require, secret, v1,
};
