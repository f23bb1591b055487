//! A durable ordered key-value store: the trait, its conformance suite, and sled made power-safe.
//!
//! A [`Store`] promises one thing: when [`Store::commit`] returns `Ok`, the whole batch survives kill -9 and power loss,
//! and a store that lost or changed something says so when it is opened or read instead of answering wrongly.
//! [`SledStore`] keeps that promise on a local Linux file system (ext4, xfs) whose device honours flushes;
//! [`MemoryStore`] keeps it as long as its [`MemoryDisk`] lives and is for tests and simulation. [`Committer`] is the
//! one thread that owns a store. Of several owners only the one whose [`Epoch`] was begun last can commit.
//!
//! This crate knows nothing of what the keys and values mean.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod batch;
mod committer;
pub mod conformance;
mod contained;
mod epoch;
mod error;
mod memory;
mod sled_store;
mod store;

pub use batch::{Batch, Key, MAX_BATCH_BYTES, MAX_KEY_BYTES, MAX_VALUE_BYTES, Op, RESERVED, Refusal, Value};
pub use committer::{Before, Committer, Done};
pub use epoch::Epoch;
pub use error::{Cause, CommitError, OpenError, ReadError};
pub use memory::{MemoryDisk, MemoryStore};
pub use sled_store::{Closed, Opened, Options, Probe, SledStore, probe_main_if_asked};
pub use store::{Entry, Reader, Store};
