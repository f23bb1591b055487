//! The coordinator: gRPC and HTTP in front of the pure core and its store.
//!
//! ```text
//! gate ──► grpc, http ──► driver ──► core    (who calls; what happened, what follows)
//!     │            ├─────► store        (records, durable before anything that depends on them leaves)
//!     │            └─────► links        (orders to workers)
//!     ├──► blobs, kept, door            (bytes, what the records mean, bytes by descriptor)
//!     └──► root ──► tunnels             (queries to the replicas of services)
//! ```
//!
//! Everything that changes goes through the driver, one input at a time; everything here is an adapter around it.

// A test that unwraps says where it failed.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod door;
mod driver;
mod gate;
mod grpc;
mod http;
mod kept;
pub mod limits;
mod links;
mod open;
mod problem;
mod results;
mod server;
mod services;
mod tunnels;
mod validate;
mod views;

pub use longshore_root::{Call, CallError, Target, Transport};
pub use longshore_store::{Probe, probe_main_if_asked};

pub use crate::{
    open::{Config, Coordinator, OpenError},
    server::ServeError,
    tunnels::replica_id,
};
