//! The law around the core, as one object that the coordinator's loop and the simulated world drive alike.
//!
//! The core decides; a driver carries out. What a driver must get right is here and nowhere else:
//!
//! 1. **Records before effects.** Whatever an input leads to (orders, replies, what is shown) leaves when its records, and
//!    all earlier ones, are durable. One batch of records is on its way to the disk at a time; what happens meanwhile
//!    shares the next ([`Law`]).
//! 2. **An outbox is kept whole or not at all**: its records are never in two batches.
//! 3. **A batch that found no room goes again**, before anything after it. Whoever only wanted to look is told so meanwhile.
//! 4. **One link speaks for a worker**: that of its newest hello. Older ones are not heard, their ends are not told to the
//!    core, and orders go to the link for which they were given or nowhere ([`Links`]).
//! 5. **One life at a time**: another life of a worker waits while the one that is there is asked, and is refused only if that
//!    answers. If its link ends, its lease runs out, or it does not answer in time, the other takes its place at once
//!    ([`Turn`]).
//! 6. **A link of a worker that the core does not know ends**, so that the worker says hello again.
//! 7. **A lease runs from the newest answer to a heartbeat that is known to have arrived**: a worker that is heard, but does not
//!    hear, is gone like one that is silent ([`Word::Heartbeat`]).
//! 8. **Time passes**, also while nothing happens ([`Drive::next_tick_ms`]); but time in which the driver was not there itself
//!    is nobody's silence.
//!
//! Like the core, this crate does no IO and knows no clock, task or randomness; its manifest is the proof. Whoever drives
//! it brings inputs in the order in which they happened, writes each batch it is handed, and carries out the
//! [`Effects`] it is given back, in their order.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may fail where it stands"))]

mod drive;
mod effects;
mod law;
mod links;
mod newcomers;
mod presence;
mod rules;
mod turns;
mod words;

pub use crate::{
    drive::{BALANCE_MS, Drive, Heard, Witness},
    effects::Effects,
    law::{Law, Next, Page},
    links::{LinkId, Links},
    newcomers::ANSWER_MS,
    rules::{Rule, Rules},
    turns::Turn,
    words::{Beat, Hello, Peer, Word},
};
