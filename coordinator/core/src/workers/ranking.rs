//! Connected workers by how full they are, those of one kind apart.
//!
//! What the emptiest worker of a kind cannot be given, none of the same can, but for what is counted exactly or was refused by
//! one. So a hand-out looks at one worker of each kind, and where all workers are alike there is one.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound::{Excluded, Unbounded},
};

use super::kind::Kind;
use crate::{
    fit::Needs,
    ids::{Namespace, WorkerId},
};

/// Workers of one kind, by number. Numbers of kinds that nobody is of any more are used again.
pub(crate) type Group = usize;

/// Who is emptiest.
#[derive(Debug, Default)]
pub(super) struct Ranking {
    groups: Vec<Ranked>,
    numbers: BTreeMap<Kind, Group>,
    /// Groups that have come or gone, and nobody has asked yet.
    changed: Vec<Group>,
    /// What is known of each: its group, its load and its slots.
    known: BTreeMap<WorkerId, (Group, u64, u32)>,
}

#[derive(Debug, Default)]
struct Ranked {
    kind: Kind,
    /// Workers of the kind, ranked or not.
    members: usize,
    /// The emptiest first.
    workers: BTreeSet<(u64, WorkerId)>,
    /// Of all of them.
    slots: u64,
}

impl Ranking {
    /// One more worker is of this kind; answers its group's number.
    pub fn enter(&mut self, kind: Kind) -> Group {
        let number = match self.numbers.get(&kind) {
            Some(number) => *number,
            None => self.found(kind),
        };
        self.groups[number].members += 1;
        number
    }

    fn found(&mut self, kind: Kind) -> Group {
        let unused = self.groups.iter().position(|ranked| ranked.members == 0);
        let number = unused.unwrap_or(self.groups.len());
        if number == self.groups.len() {
            self.groups.push(Ranked::default());
        }
        self.groups[number].kind = kind.clone();
        self.numbers.insert(kind, number);
        self.changed.push(number);
        number
    }

    /// The worker is not of this group any more.
    pub fn leave(&mut self, id: WorkerId, group: Group) {
        self.remove(id);
        let Some(ranked) = self.groups.get_mut(group) else { return };
        ranked.members -= 1;
        if ranked.members == 0 {
            self.numbers.remove(&ranked.kind);
            ranked.kind = Kind::default();
            self.changed.push(group);
        }
    }

    /// What the workers of a group have in common; `None` while nobody is of it.
    pub fn kind(&self, group: Group) -> Option<&Kind> {
        self.groups.get(group).filter(|ranked| ranked.members > 0).map(|ranked| &ranked.kind)
    }

    /// The groups that have come or gone since this was last asked.
    pub fn changed(&mut self) -> Vec<Group> {
        std::mem::take(&mut self.changed)
    }

    /// The worker is connected, and so full.
    pub fn put(&mut self, id: WorkerId, group: Group, load: u64, slots: u32) {
        self.remove(id);
        if let Some(ranked) = self.groups.get_mut(group) {
            ranked.workers.insert((load, id));
            ranked.slots += u64::from(slots);
            self.known.insert(id, (group, load, slots));
        }
    }

    /// The worker is not connected, or is to be ranked anew.
    pub fn remove(&mut self, id: WorkerId) {
        if let Some((group, load, slots)) = self.known.remove(&id)
            && let Some(ranked) = self.groups.get_mut(group)
        {
            ranked.workers.remove(&(load, id));
            ranked.slots -= u64::from(slots);
        }
    }

    /// The emptiest worker of each group, with its load and its group.
    pub fn emptiest_of_each(&self) -> BTreeSet<(u64, WorkerId, Group)> {
        (0..self.groups.len()).filter_map(|group| self.emptiest_of(group)).collect()
    }

    /// The emptiest worker of this group, with its load and its group.
    fn emptiest_of(&self, group: Group) -> Option<(u64, WorkerId, Group)> {
        self.emptiest_behind(group, None)
    }

    /// The emptiest worker of this group behind that one, with its load and its group.
    pub fn emptiest_behind(&self, group: Group, last: Option<(u64, WorkerId)>) -> Option<(u64, WorkerId, Group)> {
        let workers = &self.groups.get(group)?.workers;
        let next = match last {
            None => workers.first(),
            Some(last) => workers.range((Excluded(last), Unbounded)).next(),
        };
        next.map(|(load, id)| (*load, *id, group))
    }

    /// What falls to a worker of so many items of a namespace that need this when all connected ones that may have them share
    /// them, rounded up.
    pub fn share(&self, id: WorkerId, items: u64, namespace: &Namespace, needs: Option<&Needs>) -> u64 {
        let slots = self.known.get(&id).map_or(0, |(_, _, slots)| u64::from(*slots));
        let all: u64 =
            self.groups.iter().filter(|ranked| ranked.kind.may_have(namespace, needs)).map(|ranked| ranked.slots).sum();
        (items.saturating_mul(slots)).div_ceil(all.max(1))
    }
}
