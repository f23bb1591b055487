//! Things in order, each in a lane: the first of all is found as quickly as the first of some lanes.

use std::collections::BTreeSet;

/// By number.
pub(super) type Lane = usize;

/// See the module. With one lane it costs what one set costs.
#[derive(Debug)]
pub(super) struct Lanes<T> {
    lanes: Vec<BTreeSet<T>>,
    /// The first of each lane that has any.
    firsts: BTreeSet<(T, Lane)>,
}

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        Self { lanes: Vec::new(), firsts: BTreeSet::new() }
    }
}

impl<T: Ord + Copy> Lanes<T> {
    pub fn insert(&mut self, lane: Lane, thing: T) {
        if self.lanes.len() <= lane {
            self.lanes.resize_with(lane + 1, BTreeSet::new);
        }
        self.change(lane, |things| things.insert(thing));
    }

    pub fn remove(&mut self, lane: Lane, thing: &T) {
        if lane < self.lanes.len() {
            self.change(lane, |things| things.remove(thing));
        }
    }

    fn change(&mut self, lane: Lane, change: impl FnOnce(&mut BTreeSet<T>) -> bool) {
        let things = &mut self.lanes[lane];
        let before = things.first().copied();
        change(things);
        let after = things.first().copied();
        if before == after {
            return;
        }
        if let Some(before) = before {
            self.firsts.remove(&(before, lane));
        }
        if let Some(after) = after {
            self.firsts.insert((after, lane));
        }
    }

    /// The first of all.
    pub fn first(&self) -> Option<T> {
        self.firsts.first().map(|(first, _)| *first)
    }

    /// The first of these lanes.
    pub fn first_of(&self, lanes: impl Iterator<Item = Lane>) -> Option<T> {
        lanes.filter_map(|lane| self.lanes.get(lane)?.first().copied()).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_all_and_of_some_is_always_the_least() {
        let (mut lanes, mut plain) = (Lanes::default(), BTreeSet::new());
        let mut number = 7_usize;
        for step in 0..4_000 {
            number = (number * 1_103 + step) % 10_007;
            let (lane, thing) = (number % 5, number % 97);
            if number.is_multiple_of(3) {
                lanes.remove(lane, &thing);
                plain.remove(&(thing, lane));
            } else {
                lanes.insert(lane, thing);
                plain.insert((thing, lane));
            }
            assert_eq!(lanes.first(), plain.first().map(|(thing, _)| *thing));
            let some = plain.iter().filter(|(_, lane)| [1, 4].contains(lane)).map(|(thing, _)| *thing).min();
            assert_eq!(lanes.first_of([1, 4, 9].into_iter()), some);
        }
    }
}
