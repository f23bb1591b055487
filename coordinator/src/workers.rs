//! Workers: the sessions that their links are, what they are told and what they report, and the ways to their replicas.

pub mod failure_groups;
pub mod fingerprint;
mod offers;
pub mod orders;
pub mod recent_failures;
pub mod results;
pub mod session;
pub mod sessions;
pub mod told;
pub mod tunnels;
