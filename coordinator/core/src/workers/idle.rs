//! Slots that nothing is held for, by the kind of work they may be given.

use super::{clientele::Clientele, kind::Kind};
use crate::{fit::Needs, ids::Namespace};

/// Idle slots of connected workers.
pub(crate) struct IdleSlots<'a>(Vec<(&'a Kind, u64)>);

impl<'a> IdleSlots<'a> {
    /// So many of each kind, at least one.
    pub fn of(slots: impl Iterator<Item = (&'a Kind, u64)>) -> Self {
        Self(slots.collect())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes one for work of this namespace that needs this and no more than a slot's share, of those that may be given the least;
    /// answers whether there was one.
    pub fn take(&mut self, namespace: &Namespace, needs: Option<&Needs>) -> bool {
        let fewest = |at: &usize| match &self.0[*at].0.clientele {
            Clientele::Only(some) => some.len(),
            Clientele::Everybody => usize::MAX,
        };
        let may = |kind: &Kind| kind.may_have(namespace, needs) && !kind.counts(needs);
        let may = (0..self.0.len()).filter(|at| may(self.0[*at].0));
        let Some(at) = may.min_by_key(fewest) else { return false };
        self.0[at].1 -= 1;
        if self.0[at].1 == 0 {
            self.0.swap_remove(at);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_of_whoever_may_be_given_the_least_go_first_and_each_goes_once() {
        let [a, b, c] = ["a", "b", "c"].map(Namespace::named);
        let only = |some: &[&Namespace]| Clientele::Only(some.iter().map(|name| (*name).clone()).collect());
        let (of_a, of_both) = (only(&[&a]), only(&[&a, &b]));
        let [everybody, of_both, of_a] =
            [Clientele::Everybody, of_both, of_a].map(|clientele| Kind { clientele, slots: 1, ..Kind::default() });
        let mut idle = IdleSlots::of([(&everybody, 1), (&of_both, 1), (&of_a, 2)].into_iter());
        let taken = [&a, &a, &b, &c, &a].map(|name| idle.take(name, None));
        assert_eq!(taken, [true, true, true, true, false]);
        assert!(idle.is_empty());
    }
}
