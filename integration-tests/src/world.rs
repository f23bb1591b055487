//! The simulated world: one seed drives the network, the disk, the clock, the workers, the clients and the faults around
//! the core and the drive that ship, and an oracle checks everything after each step.
//!
//! The same seed is the same run, always: time is a number, chance is [`dice::Dice`], and nothing iterates in an order that
//! is not fixed. When faults have ended, everything has to come to an end too.

pub mod agenda;
pub mod client;
pub mod coordinator;
pub mod count;
pub mod coverage;
pub mod dice;
pub mod disk;
pub mod fault;
pub mod flow;
pub mod kept;
pub mod net;
pub mod oracle;
pub mod outcome;
pub mod profile;
pub mod sabotage;
pub mod script;
pub mod state;
pub mod trail;
pub mod worker;

mod clients;
mod driver;
mod faults;
mod lies;
mod life;
mod links;
mod lives;
mod members;
mod quiet;
mod workers;
