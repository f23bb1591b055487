//! Slots that nothing is held for, by whose work they may be given.

use super::clientele::Clientele;
use crate::ids::Namespace;

/// Idle slots of connected workers.
pub(crate) struct IdleSlots<'a>(Vec<(&'a Clientele, u64)>);

impl<'a> IdleSlots<'a> {
    /// So many of each clientele, at least one.
    pub fn of(slots: impl Iterator<Item = (&'a Clientele, u64)>) -> Self {
        Self(slots.collect())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes one for work of this namespace, of those that may be given the least; answers whether there was one.
    pub fn take(&mut self, namespace: &Namespace) -> bool {
        let fewest = |at: &usize| match self.0[*at].0 {
            Clientele::Only(some) => some.len(),
            Clientele::Everybody => usize::MAX,
        };
        let may = (0..self.0.len()).filter(|at| self.0[*at].0.has(namespace));
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
        let mut idle = IdleSlots::of([(&Clientele::Everybody, 1), (&of_both, 1), (&of_a, 2)].into_iter());
        let taken = [&a, &a, &b, &c, &a].map(|name| idle.take(name));
        assert_eq!(taken, [true, true, true, true, false]);
        assert!(idle.is_empty());
    }
}
