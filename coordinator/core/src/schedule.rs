//! Who gets what: what can be given out, whose turn it is, and what is asked back.

mod lanes;
mod queue;
mod queues;
mod turns;

pub(crate) mod ask_back;
pub(crate) mod hand_out;

pub(crate) use self::queues::Queues;
