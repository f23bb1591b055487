//! A map stage: each input of the job, or each output of the stage before, is an item.

use super::kind::{Before, Kind, Source};

/// The kind.
pub(crate) struct Map;

impl Kind for Map {
    fn room(&self, inputs: u64) -> u64 {
        inputs
    }

    fn items(&self, room: u64, _: Before) -> u64 {
        room
    }

    fn is_final(&self, before: Before) -> bool {
        before.ended
    }

    fn has_children(&self) -> bool {
        true
    }

    fn source(&self, parent: Option<(u64, u64)>) -> Source {
        match parent {
            Some((parent, ordinal)) => Source::Output { parent, ordinal },
            None => Source::Input,
        }
    }
}
