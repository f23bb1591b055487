//! The coordinator: gRPC and HTTP in front of the pure core and its store.
//!
//! ```text
//! net ──► api ──► drive ──► core, law     (who calls; what is asked; what happened, and what follows)
//!  │       ├────► kept ──► store, blobs   (what the records mean)
//!  │       └────► root ──► workers        (queries to the replicas of services)
//!  └────► workers ──► drive               (sessions of workers: what they say, what they are told)
//! ```
//!
//! `net` has the transports: gRPC, HTTP, the door for descriptors, and the gate before them. `api` has the use cases, without
//! a word of any transport. Everything that changes goes through `drive`, one input at a time; the law that it keeps is a crate
//! of its own.

// A test that unwraps says where it failed.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod api;
mod audit;
mod diary;
mod drive;

mod error;
mod inspect;
mod kept;
pub mod limits;
mod members;
mod net;
mod open;
mod replica;
mod room;
mod secrets;
mod workers;

pub use longshore_authority::{PublicCertificate, PublicError};
pub use longshore_blobs::Progress as InspectProgress;
pub use longshore_store::{Options as StoreOptions, Probe, probe_main_if_asked};

pub use crate::{
    inspect::{Finding, inspect},
    net::server::{Local, ServeError},
    open::{Config, Coordinator, Listening, OpenError},
};
