//! The node agent: it turns attempts into processes in containers, and replicas into servers.
//!
//! ```text
//! coordinator ──► executor ──► slot ──┬──► contract ──► runtime (docker | process) ──► shim, inside the container
//!      └────────► replicas ───────────┘
//! ```
//!
//! Arrows go right. `coordinator` is what is said with it, `executor` hands attempts to warm slots, `replicas` keeps the
//! leaves and merges of services; both only decide when something runs, and how much of the machine it may use (`bounds`). `contract` makes, bounds and judges each run and
//! each request, a `runtime` starts sandboxes, and the shim inside runs what it is told.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may fail where it stands"))]

pub mod agent;
pub mod bounds;
pub mod cache;
mod causes;
#[cfg(test)]
mod conformance;
mod contract;
pub mod coordinator;
pub mod executor;
pub mod fitness;
pub mod home;
#[cfg(test)]
#[path = "../tests/support/host_image.rs"]
mod host_image;
mod pauses;
mod replicas;
pub mod runtime;
mod secrets;
pub mod shim_binary;
mod slot;
pub mod tenure;
mod trials;
mod work;
