//! sled made power-safe: see [`SledStore`] for what is done and why.

mod commit;
mod copy;
mod engine;
mod envelope;
mod filter;
mod high_water;
mod last;
mod layout;
mod open;
mod options;
mod probe;
mod read;
mod room;

pub use commit::SledStore;
pub use copy::Closed;
pub use options::{Opened, Options, Probe};
pub use probe::probe_main_if_asked;
