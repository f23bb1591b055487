//! Connected workers by how full they are, those of one clientele apart.
//!
//! What the emptiest worker of a clientele cannot be given, none of the same can. So a hand-out looks at one worker of each
//! clientele, and where all workers are everybody's there is one.

use std::collections::{BTreeMap, BTreeSet};

use super::clientele::Clientele;
use crate::ids::{Namespace, WorkerId};

/// Workers of one clientele, by number.
pub(crate) type Group = usize;

/// Who is emptiest.
#[derive(Debug, Default)]
pub(super) struct Ranking {
    groups: Vec<Ranked>,
    numbers: BTreeMap<Clientele, Group>,
    /// What is known of each: its group, its load and its slots.
    known: BTreeMap<WorkerId, (Group, u64, u32)>,
}

#[derive(Debug)]
struct Ranked {
    clientele: Clientele,
    /// The emptiest first.
    workers: BTreeSet<(u64, WorkerId)>,
    /// Of all of them.
    slots: u64,
}

impl Ranking {
    /// The number of the workers of this clientele.
    pub fn group(&mut self, clientele: Clientele) -> Group {
        let next = self.groups.len();
        let number = *self.numbers.entry(clientele.clone()).or_insert(next);
        if number == next {
            self.groups.push(Ranked { clientele, workers: BTreeSet::new(), slots: 0 });
        }
        number
    }

    /// Whose work the workers of a group may be given.
    pub fn clientele(&self, group: Group) -> &Clientele {
        static EVERYBODY: Clientele = Clientele::Everybody;
        self.groups.get(group).map_or(&EVERYBODY, |ranked| &ranked.clientele)
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
    pub fn emptiest_of(&self, group: Group) -> Option<(u64, WorkerId, Group)> {
        self.groups.get(group)?.workers.first().map(|(load, id)| (*load, *id, group))
    }

    /// What falls to a worker of so many items of a namespace when all connected ones that may have them share them, rounded
    /// up.
    pub fn share(&self, id: WorkerId, items: u64, namespace: &Namespace) -> u64 {
        let slots = self.known.get(&id).map_or(0, |(_, _, slots)| u64::from(*slots));
        let all: u64 =
            self.groups.iter().filter(|ranked| ranked.clientele.has(namespace)).map(|ranked| ranked.slots).sum();
        (items.saturating_mul(slots)).div_ceil(all.max(1))
    }
}
