//! Workers: who is here and what they hold, who comes, who goes, and who is waited for.

mod fleet;
mod loss;
mod reunion;
mod suspects;

pub(crate) mod goodbye;
pub(crate) mod hello;
pub(crate) mod lease;
pub(crate) mod link_lost;

pub(crate) use self::{
    fleet::{Arrival, Fleet, Worker},
    reunion::Reunion,
    suspects::Suspects,
};
