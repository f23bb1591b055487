//! Attempts: what their ends mean for their items, and what a worker that connects still holds.

mod commit;
mod pause;
mod trouble;

pub(crate) mod blame;
pub(crate) mod finished;
pub(crate) mod reconcile;

pub(crate) use self::trouble::Trouble;
