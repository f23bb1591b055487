//! Attempts: what their ends mean for their items, and what a worker that connects still holds.

mod commit;
mod imageless;
mod losses;
mod pause;
mod trouble;

pub(crate) mod blame;
pub(crate) mod finished;
pub(crate) mod reconcile;

pub use self::losses::{Losses, LostOn};
pub(crate) use self::{losses::Fall, trouble::Trouble};
