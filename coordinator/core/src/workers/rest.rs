//! Why a worker is given nothing, whatever there is to give.

/// Why a worker is given nothing: the first of these that is so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rest {
    /// It cannot be reached, but its lease goes on.
    Away,
    /// It takes nothing, as it says itself: its disk is full, for instance.
    Unable,
    /// It is drained.
    Draining,
    /// It is kept for an item that is to run alone there.
    Kept,
}

impl Rest {
    /// Why a worker is given nothing that can be reached or not, has so many slots, is drained or not, and kept for an item or not.
    pub fn of(connected: bool, slots: u32, draining: bool, kept: bool) -> Option<Self> {
        let all =
            [(!connected, Self::Away), (slots == 0, Self::Unable), (draining, Self::Draining), (kept, Self::Kept)];
        all.into_iter().find(|(is_so, _)| *is_so).map(|(_, rest)| rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_is_the_one_that_has_to_go_first() {
        assert_eq!(Rest::of(true, 1, false, false), None);
        assert_eq!(Rest::of(false, 0, true, true), Some(Rest::Away));
        assert_eq!(Rest::of(true, 0, true, true), Some(Rest::Unable));
        assert_eq!(Rest::of(true, 1, true, true), Some(Rest::Draining));
        assert_eq!(Rest::of(true, 1, false, true), Some(Rest::Kept));
    }
}
