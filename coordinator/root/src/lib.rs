//! The scatter/gather engine (Burns & Oppenheimer, section 5.3).
//!
//! A query walks through here in one task: [`Engine::query`] picks one replica for every shard, calls them all at once,
//! gathers parts until its rule is met or can no longer be met or time runs out, has them merged, and answers with the
//! [`Coverage`]. Dropping the future abandons every call that is still out.
//!
//! The engine never looks into a part, keeps no state but how busy and how quick replicas are, and does not know how
//! calls travel: that is the [`Transport`]'s part. What a replica is, whoever uses the engine says; to the engine it is a
//! [`Target`], compared and shown and nothing more.

// A test that unwraps says where it failed.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod balance;
mod coverage;
mod engine;
mod gather;
mod require;
#[cfg(test)]
mod scripted;
mod topology;

pub use crate::{
    coverage::{Coverage, PartReport},
    engine::{Answer, Engine, Limits, QueryError, Request},
    require::Require,
    topology::{Call, CallError, Candidate, Target, Topology, Transport},
};
