//! Jobs: what one is, and one command a file.

mod job;
mod spec;
mod state;

pub(crate) mod cancel;
pub(crate) mod end;
pub(crate) mod retry;
pub(crate) mod submit;

pub use self::{job::Job, spec::JobSpec, state::JobState};
