//! How inputs are looked for: what is left out.

use std::{cell::RefCell, path::PathBuf};

use super::{error::InputError, unusable::LeftOut};

/// How inputs are looked for.
#[derive(Debug, Default)]
pub(super) struct Looks {
    /// Where what cannot be used is counted; else it is an error.
    pub left_out: Option<LeftOut>,
    /// A directory that is not looked into, by device and number.
    pub apart: Option<(u64, u64)>,
    /// Where it was found.
    pub found_apart: RefCell<Option<PathBuf>>,
}

impl Looks {
    /// Goes on without an input that cannot be used, if that is wanted.
    pub fn skip(&self, unusable: InputError) -> Result<(), InputError> {
        match &self.left_out {
            Some(left_out) => {
                left_out.add(&unusable);
                Ok(())
            }
            None => Err(unusable),
        }
    }
}
