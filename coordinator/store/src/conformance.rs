//! What every backend must do, as one suite to run in a backend's tests.
//!
//! `fresh` makes a new empty disk (a directory, a [`crate::MemoryDisk`], …) and `open` opens the store on it; the suite
//! drops a store and opens its disk again as often as it likes. A backend's tests call [`run`], and feed [`follow`] with
//! scenarios of their own making.

mod cases;
mod model;

pub use self::model::{Step, everything, follow};
use crate::Store;

/// Runs all cases, each on a disk of its own.
///
/// # Panics
/// When the backend does not conform; the message names what was expected.
pub fn run<D>(mut fresh: impl FnMut() -> D, mut open: impl FnMut(&D) -> Box<dyn Store>) {
    for case in cases::ALL {
        let disk = fresh();
        case(&mut || open(&disk));
    }
    for seed in 0..4 {
        let disk = fresh();
        follow(&mut || open(&disk), &cases::scenario(seed));
    }
}
