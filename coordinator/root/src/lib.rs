//! The scatter/gather engine (Burns & Oppenheimer, section 5.3).
//!
//! A query walks through here in one task: [`Engine::query`] picks one replica for every shard, calls them all at once,
//! gathers parts until all have come, its rule can no longer be met, or time runs out, has them merged, and answers with the
//! [`Coverage`]. Once a rule that says what is enough is met, it waits a little for the rest and no longer. Dropping the future
//! abandons every call that is still out.
//!
//! A part that says itself that it is partial ([`Share`]) is never counted as a whole one. Only merges of the engine's own
//! ([`Join`]) look into parts. The engine keeps no state but how busy and how quick replicas are, and does not know how
//! calls travel: that is the [`Transport`]'s part. What a replica is, whoever uses the engine says; to the engine it is a
//! [`Target`], compared and shown and nothing more.

// A test that unwraps says where it failed.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod admission;
mod arriving;
mod attempts;
mod balance;
mod budget;
mod coverage;
mod engine;
mod experience;
mod filling;
mod gather;
mod gathering;
mod join;
mod latencies;
mod memory;
mod message;
mod patience;
mod poison;
mod require;
#[cfg(test)]
mod scripted;
mod share;
mod standing;
mod tally;
mod topology;

pub use crate::{
    admission::Admission,
    arriving::{Arriving, Feed, Over},
    coverage::{Coverage, PartReport},
    engine::{Answer, Engine, Heads, Limits, QueryError, Request},
    experience::Experience,
    filling::Filling,
    join::Join,
    memory::{Account, Held, Memory, NoMemory, Outstanding},
    message::{Message, Part},
    require::{Require, Required},
    share::Share,
    topology::{Call, CallError, Candidate, Target, Topology, Transport},
};
