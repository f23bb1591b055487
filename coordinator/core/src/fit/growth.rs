//! Memory that grows with the tries of an item: what it needs after each that met its limit.

use std::sync::Arc;

use super::needs::Needs;

/// How the memory of an item's attempts grows after each that met its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Growth {
    /// By how much it is multiplied, in hundredths: more than 100.
    pub hundredths: u32,
    /// What it never goes beyond, bytes; 0: what workers offer.
    pub up_to_bytes: u64,
}

impl Growth {
    /// Most steps: each has a place of its own wherever work is given out.
    pub const STEPS: usize = 8;

    /// What is needed after the first, the second, … growth, as far as it grows: at most [`Growth::STEPS`] of them, each more than
    /// the one before. None where nothing is said of memory that could grow.
    #[must_use]
    pub fn steps(self, needs: Option<&Needs>) -> Vec<Arc<Needs>> {
        let Some(needs) = needs.filter(|needs| needs.memory_bytes > 0) else { return Vec::new() };
        let most = if self.up_to_bytes == 0 { u64::MAX } else { self.up_to_bytes };
        let more = |bytes: &u64| {
            let grown = u128::from(*bytes) * u128::from(self.hundredths) / 100;
            let grown = u64::try_from(grown).unwrap_or(u64::MAX).min(most);
            (grown > *bytes).then_some(grown)
        };
        let sizes = std::iter::successors(more(&needs.memory_bytes), more).take(Self::STEPS);
        sizes.map(|memory_bytes| Arc::new(Needs { memory_bytes, ..needs.clone() })).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(hundredths: u32, up_to_bytes: u64, memory_bytes: u64) -> Vec<u64> {
        let needs = Needs { memory_bytes, pids: 7, ..Needs::default() };
        let steps = Growth { hundredths, up_to_bytes }.steps(Some(&needs));
        assert!(steps.iter().all(|step| step.pids == 7), "nothing else grows");
        steps.iter().map(|step| step.memory_bytes).collect()
    }

    #[test]
    fn it_grows_to_its_bound_and_not_beyond() {
        assert_eq!(sizes(200, 700, 100), [200, 400, 700]);
        assert_eq!(sizes(150, 200, 100), [150, 200]);
        assert_eq!(sizes(200, 100, 100), [], "there it is already");
        assert_eq!(sizes(200, 50, 100), [], "never less");
    }

    #[test]
    fn without_a_bound_it_grows_so_often_and_never_past_what_a_number_can_be() {
        assert_eq!(sizes(200, 0, 1).last(), Some(&256));
        assert_eq!(sizes(10_000, 0, u64::MAX / 2), [u64::MAX]);
        assert_eq!(sizes(101, 0, 10), [], "by less than a byte");
    }

    #[test]
    fn what_nothing_is_said_of_does_not_grow() {
        assert_eq!(sizes(200, 700, 0), []);
        assert!(Growth { hundredths: 200, up_to_bytes: 0 }.steps(None).is_empty());
    }
}
