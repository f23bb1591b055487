//! A gather stage: all outputs of the stage before are one item, which is there as soon as everything before has succeeded.

use super::kind::{Before, Kind, Source};

/// The kind.
pub(crate) struct Gather;

impl Kind for Gather {
    /// For its item from the start: were the room made by the item's first outcome, a ledger in which that is gone again
    /// would differ from a loaded one.
    fn room(&self, _: u64) -> u64 {
        1
    }

    fn items(&self, _: u64, before: Before) -> u64 {
        u64::from(before.ended && before.failed == 0)
    }

    fn is_final(&self, before: Before) -> bool {
        before.ended
    }

    fn has_children(&self) -> bool {
        false
    }

    fn source(&self, _: Option<(u64, u64)>) -> Source {
        Source::Everything
    }
}
