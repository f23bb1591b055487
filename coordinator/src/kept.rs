//! What is kept: the core's records in the store, and what they mean together with the blobs they name.

mod blocks;
mod cache;
pub mod catalog;
pub mod cluster;
mod control;
mod convert;
mod cuts;
pub mod directory;
pub mod error;
pub mod faults;
mod flow;
pub mod format;
mod gaps;
pub mod grouped;
mod groups;
pub mod inputs;
pub mod inventory;
pub mod keyed;
pub mod keys;
pub mod lineage;
mod lists;
mod losses;
mod members;
pub mod messages;
mod needs;
mod outcomes;
mod outputs;
mod parts;
pub mod records;
pub mod references;
pub mod rooms;
mod scan;
mod secrets;
pub mod submission;
mod values;

/// The messages that entries of the store hold: `longshore.kept.v1`.
mod v1 {
    #![allow(missing_docs, clippy::all, clippy::unwrap_used, reason = "generated; the .proto file documents it")]
    include!(concat!(env!("OUT_DIR"), "/longshore.kept.v1.rs"));
}
