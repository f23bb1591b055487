//! Jobs: what one is, and one command a file.

mod after;
mod control;
mod cut;
mod cuts;
mod flow;
mod gatherings;
mod job;
mod meaning;
pub(crate) mod names;
mod spec;
mod state;
mod waiters;

pub(crate) mod cancel;
pub(crate) mod change;
pub(crate) mod end;
pub(crate) mod image;
pub(crate) mod patience;
pub(crate) mod pause;
pub(crate) mod remove;
pub(crate) mod retry;
pub(crate) mod submit;
mod withdraw;

pub use self::{
    control::{Change, Control, Going, Only, Pause, PausedBy, Retried},
    cut::{Breaker, Cut, Halt, HaltAt},
    job::Job,
    meaning::{Differs, Meaning},
    names::{CANDIDATES, Meant},
    spec::JobSpec,
    state::JobState,
};
pub(crate) use self::{cuts::Cuts, waiters::Waiters};
