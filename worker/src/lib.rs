//! The node agent: it turns attempts into processes in containers, and replicas into servers.
//!
//! ```text
//! link ──► executor ──► slot ──► runtime (docker | process) ──► shim, inside the container
//!   └────► replicas ──────────────┘
//! ```
//!
//! Arrows go right. `link` speaks with the coordinator, `executor` hands attempts to warm slots, `replicas` keeps the
//! leaves and merges of services, a `runtime` starts sandboxes, and the shim inside runs what it is told.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may fail where it stands"))]

pub mod agent;
pub mod cache;
mod calls;
mod causes;
#[cfg(test)]
mod conformance;
mod contract;
pub mod coordinator;
mod door;
pub mod executor;
mod held;
pub mod home;
#[cfg(test)]
#[path = "../tests/support/host_image.rs"]
mod host_image;
mod link;
mod pauses;
mod replicas;
mod report;
pub mod runtime;
pub mod shim_binary;
mod slot;
mod work;
