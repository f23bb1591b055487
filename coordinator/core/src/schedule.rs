//! Who gets what: what can be given out, whose turn it is, and what is asked back.

mod lanes;
mod missing;
mod queue;
mod queues;
mod ready;
mod streak;
mod taking;
mod turns;
mod waiting;
mod wards;

pub(crate) mod ask_back;
pub(crate) mod hand_out;

#[cfg(test)]
pub(crate) use self::turns::Passed;
pub(crate) use self::{
    queue::Queue,
    queues::Queues,
    taking::{Busy, takes},
    waiting::{Few, Waiting, waiting},
};
