//! Workers: who is here and what they hold, who comes, who goes, and who is waited for.

mod clientele;
mod fleet;
mod idle;
mod kind;
mod lives;
mod loss;
mod ranking;
mod rest;
mod reunion;
mod suspects;

pub(crate) mod drain;
pub(crate) mod goodbye;
pub(crate) mod hello;
pub(crate) mod lease;
pub(crate) mod link_lost;

pub use self::clientele::Clientele;
pub(crate) use self::{
    fleet::{Arrival, Fleet, Worker},
    idle::IdleSlots,
    kind::Kind,
    lives::Lives,
    ranking::Group,
    rest::Rest,
    reunion::Reunion,
    suspects::Suspects,
};
