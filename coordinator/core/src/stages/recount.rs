//! The counts of a stage that gathers, counted anew.

use std::collections::BTreeMap;

use super::{
    ItemState,
    gathering::{Gathering, Share},
};

/// What was counted so far.
#[derive(Debug)]
pub(crate) struct Recount<'a> {
    known: &'a Gathering,
    groups: BTreeMap<u64, (Share, u64, u64)>,
    bad: BTreeMap<u64, u64>,
}

impl<'a> Recount<'a> {
    pub fn of(known: &'a Gathering) -> Self {
        Self { known, groups: BTreeMap::new(), bad: BTreeMap::new() }
    }

    pub fn unit(&mut self, group: u64, inputs: u64, share: Share) {
        let (sum, _, counted) = self.groups.entry(group).or_default();
        *counted += inputs;
        sum.open += share.open;
        sum.missing += share.missing;
        sum.lost += share.lost;
    }

    pub fn item(&mut self, group: u64, unit: u64, (is_unit, state): (bool, ItemState), bears: bool) {
        let (sum, bearing, _) = self.groups.entry(group).or_default();
        if !is_unit {
            sum.open += u64::from(state == ItemState::Pending);
            if state == ItemState::Failed {
                *self.bad.entry(unit).or_default() += 1;
            }
        }
        *bearing += u64::from(bears);
    }

    /// Whether they are those that are known.
    pub fn are_right(&self) -> bool {
        let counted = |group| self.groups.get(&group).copied().unwrap_or_default();
        self.bad == *self.known.bad() && (0..self.known.len()).all(|group| self.known.sums(group) == counted(group))
    }
}
