//! All that is said with the coordinator: over one connection, orders and results, calls for replicas and their answers,
//! and blobs.

pub(crate) mod agreements;
pub(crate) mod calls;
mod connection;
mod door;
pub(crate) mod held;
pub(crate) mod joining;
pub(crate) mod link;
pub(crate) mod orders;
pub(crate) mod renewing;
pub(crate) mod report;
mod session;

pub use connection::{Coordinator, Refused};
pub use joining::JoinError;
