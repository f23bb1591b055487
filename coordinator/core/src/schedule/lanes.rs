//! Things in order, each in a lane: the first of those lanes that a group may take from is found at once.

use std::collections::BTreeSet;

use crate::workers::Group;

/// By number.
pub(super) type Lane = usize;

/// See the module. With one lane and one group it costs what one set costs.
#[derive(Debug)]
pub(super) struct Lanes<T> {
    lanes: Vec<BTreeSet<T>>,
    /// The groups that may take from each lane.
    reach: Vec<BTreeSet<Group>>,
    /// For each group the first of each lane that it may take from and that has any.
    firsts: Vec<BTreeSet<(T, Lane)>>,
}

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        Self { lanes: Vec::new(), reach: Vec::new(), firsts: Vec::new() }
    }
}

impl<T: Ord + Copy> Lanes<T> {
    fn grow(&mut self, lane: Lane) {
        if self.lanes.len() <= lane {
            self.lanes.resize_with(lane + 1, BTreeSet::new);
            self.reach.resize_with(lane + 1, BTreeSet::new);
        }
    }

    /// Whether the group may take from the lane, from now on.
    pub fn set_reach(&mut self, lane: Lane, group: Group, reaches: bool) {
        self.grow(lane);
        if self.firsts.len() <= group {
            self.firsts.resize_with(group + 1, BTreeSet::new);
        }
        let first = self.lanes[lane].first().copied();
        if reaches && self.reach[lane].insert(group) {
            self.firsts[group].extend(first.map(|first| (first, lane)));
        } else if !reaches && self.reach[lane].remove(&group) {
            first.map(|first| self.firsts[group].remove(&(first, lane)));
        }
    }

    pub fn insert(&mut self, lane: Lane, thing: T) {
        self.grow(lane);
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
        for group in &self.reach[lane] {
            if let Some(before) = before {
                self.firsts[*group].remove(&(before, lane));
            }
            if let Some(after) = after {
                self.firsts[*group].insert((after, lane));
            }
        }
    }

    /// The first that the group may take, and its lane, but for what is in lanes that are passed over, or is passed over itself.
    pub fn first(&self, group: Group, lanes: &BTreeSet<Lane>, things: impl Fn(&T) -> bool) -> Option<(T, Lane)> {
        let mut best = None;
        for (first, lane) in self.firsts.get(group)?.iter().filter(|(_, lane)| !lanes.contains(lane)) {
            if best.is_some_and(|(best, _)| best < *first) {
                break;
            }
            let next =
                if things(first) { self.lanes[*lane].iter().find(|next| !things(next)).copied() } else { Some(*first) };
            let next = next.map(|next| (next, *lane));
            best = [best, next].into_iter().flatten().min();
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_a_group_may_take_is_always_the_least_of_its_lanes() {
        let (mut lanes, mut plain) = (Lanes::default(), BTreeSet::new());
        let mut reach = [[false; 5]; 2];
        let mut number = 7_usize;
        for step in 0..4_000 {
            number = (number * 1_103 + step) % 10_007;
            let (lane, thing) = (number % 5, number % 97);
            if number.is_multiple_of(11) {
                let group = number % 2;
                reach[group][lane] = !reach[group][lane];
                lanes.set_reach(lane, group, reach[group][lane]);
            } else if number.is_multiple_of(3) {
                lanes.remove(lane, &thing);
                plain.remove(&(thing, lane));
            } else {
                lanes.insert(lane, thing);
                plain.insert((thing, lane));
            }
            let passed = BTreeSet::from([number % 3]);
            for (group, reach) in reach.iter().enumerate() {
                let may = |(_, lane): &&(usize, Lane)| reach[*lane];
                assert_eq!(lanes.first(group, &BTreeSet::new(), |_| false), plain.iter().find(may).copied());
                let odd = |thing: &usize| thing.is_multiple_of(2);
                let rest = plain.iter().filter(may).find(|(thing, lane)| !passed.contains(lane) && !odd(thing));
                assert_eq!(lanes.first(group, &passed, odd), rest.copied());
            }
        }
    }
}
