//! A stage that gathers: which group everything before it flows into, and what is still to come for each.
//!
//! What flows are *units*: the job's inputs, or the items of the last stage before that gathers. The counts follow from outcomes
//! alone, whatever their order, so a ledger that was loaded has those of one that was lived.

use std::collections::BTreeMap;

use super::{Require, StageKind, keys::Keys};

/// See the module. A group takes 40 bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Gathering {
    /// Its own stage.
    pub at: usize,
    /// The stage whose items its units are.
    pub from: usize,
    /// Whether that stage gathers: else its units are the job's inputs.
    pub chained: bool,
    require: Require,
    how: How,
    groups: Vec<Group>,
    /// Units with failed descendants, and how many: without units that failed themselves.
    bad: BTreeMap<u64, u64>,
    counts: Counts,
}

#[derive(Debug, PartialEq, Eq)]
enum How {
    All,
    Ranges(u64),
    Keys(Keys),
}

/// What is known of a group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Group {
    /// The job's inputs in it.
    inputs: u64,
    /// Items of the stages before, of this group, that have not ended.
    open: u64,
    /// Inputs that did not come through since the stage before that gathers: what the rule counts.
    missing: u64,
    /// Inputs that did not come through at all.
    lost: u64,
    /// Items of the stage before that left something for it.
    bearing: u64,
}

/// Where a group stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// Something of it has not ended.
    Open,
    /// Its item is there.
    There,
    /// Too much of it is missing: it has no item.
    Short,
    /// Nothing was left for it: it has no item.
    Empty,
}

/// What one unit, as it stands, gives its group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Share {
    pub open: u64,
    pub missing: u64,
    pub lost: u64,
}

/// Over all groups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Groups whose item is there.
    pub there: u64,
    /// Groups that are short.
    pub short: u64,
    /// Inputs of groups whose item is there that came through.
    pub covered: u64,
    /// Inputs in groups.
    pub inputs: u64,
}

/// A change of a group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Change {
    pub inputs: i64,
    pub open: i64,
    pub bearing: i64,
}

impl Gathering {
    /// Stage `at`, into which so many units of stage `from` flow; `None` for a kind that does not gather.
    pub fn new(kind: StageKind, at: usize, (from, chained): (usize, bool), units: u64) -> Option<Self> {
        let (how, groups) = match kind {
            StageKind::Map => return None,
            StageKind::Gather { .. } => (How::All, 1),
            StageKind::Ranges { width, .. } => (How::Ranges(width.max(1)), units.div_ceil(width.max(1))),
            StageKind::Groups { groups, .. } => (How::Keys(Keys::default()), groups),
        };
        let groups = vec![Group::default(); usize::try_from(groups).unwrap_or(usize::MAX)];
        let mut gathering = Self {
            at,
            from,
            chained,
            require: kind.require().unwrap_or_default(),
            how,
            groups,
            bad: BTreeMap::new(),
            counts: Counts::default(),
        };
        for group in 0..gathering.len() {
            gathering.counts.add(&gathering.groups, gathering.status(group), group);
        }
        Some(gathering)
    }

    /// How many groups there are.
    pub fn len(&self) -> u64 {
        self.groups.len() as u64
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Whether all units are in its one group.
    pub fn is_of_all(&self) -> bool {
        matches!(self.how, How::All)
    }

    /// Whether what is missing in a group is not missing any more to whoever gathers that: not of a level of a tree.
    pub fn forgives(&self) -> bool {
        !matches!(self.how, How::Ranges(_))
    }

    /// Inputs of its own are in these groups.
    pub fn keys(&self) -> Option<&Keys> {
        match &self.how {
            How::Keys(keys) => Some(keys),
            How::All | How::Ranges(_) => None,
        }
    }

    /// A record with runs is kept.
    pub fn count_record(&mut self) {
        if let How::Keys(keys) = &mut self.how {
            keys.records += 1;
        }
    }

    pub fn push_run(&mut self, first: u64, group: Option<u64>) {
        if let How::Keys(keys) = &mut self.how {
            keys.push(first, group);
        }
    }

    /// The group of a unit, whose first input that is.
    pub fn group_of(&self, unit: u64, first_input: impl FnOnce() -> Option<u64>) -> Option<u64> {
        let group = match &self.how {
            How::All => 0,
            How::Ranges(width) => unit / width,
            How::Keys(keys) => keys.group_of(first_input()?)?,
        };
        (group < self.len()).then_some(group)
    }

    /// The first of the units of a group, where these are neighbours.
    pub fn first_unit(&self, group: u64) -> Option<u64> {
        match &self.how {
            How::All => Some(0),
            How::Ranges(width) => group.checked_mul(*width),
            How::Keys(_) => None,
        }
    }

    fn group(&self, group: u64) -> Group {
        usize::try_from(group).ok().and_then(|at| self.groups.get(at)).copied().unwrap_or_default()
    }

    /// The job's inputs in a group.
    pub fn inputs(&self, group: u64) -> u64 {
        self.group(group).inputs
    }

    /// Inputs of the group that did not come through.
    pub fn lost(&self, group: u64) -> u64 {
        self.group(group).lost
    }

    /// Inputs of the group that whoever gathers its item misses by it.
    pub fn missing_on(&self, group: u64) -> u64 {
        if self.forgives() { 0 } else { self.group(group).missing }
    }

    /// Where a group stands.
    pub fn status(&self, group: u64) -> Status {
        let Group { inputs, open, missing, lost: _, bearing } = self.group(group);
        if open > 0 {
            Status::Open
        } else if !self.require.is_met(inputs, missing) {
            Status::Short
        } else if bearing == 0 && !self.is_of_all() {
            Status::Empty
        } else {
            Status::There
        }
    }

    /// Whether descendants of the unit failed.
    pub fn is_bad(&self, unit: u64) -> bool {
        self.bad.contains_key(&unit)
    }

    /// Units with failed descendants.
    pub fn bad(&self) -> &BTreeMap<u64, u64> {
        &self.bad
    }

    /// What units give a group, with everything behind them, how many items left something for it, and its inputs.
    pub fn sums(&self, group: u64) -> (Share, u64, u64) {
        let Group { inputs, open, missing, lost, bearing } = self.group(group);
        (Share { open, missing, lost }, bearing, inputs)
    }

    /// One more, or one less, of the unit's descendants has failed.
    pub fn blame(&mut self, unit: u64, more: bool) {
        let count = self.bad.entry(unit).or_default();
        *count = count.wrapping_add_signed(if more { 1 } else { -1 });
        if *count == 0 {
            self.bad.remove(&unit);
        }
    }

    /// What a unit gives its group has changed.
    pub fn shift(&mut self, group: u64, before: Share, after: Share) {
        if before != after {
            self.touch(group, |group| {
                group.open = group.open.wrapping_add(after.open).wrapping_sub(before.open);
                group.missing = group.missing.wrapping_add(after.missing).wrapping_sub(before.missing);
                group.lost = group.lost.wrapping_add(after.lost).wrapping_sub(before.lost);
            });
        }
    }

    /// What is behind units has changed.
    pub fn change(&mut self, group: u64, change: Change) {
        if change != Change::default() {
            self.touch(group, |group| {
                group.inputs = group.inputs.wrapping_add_signed(change.inputs);
                group.open = group.open.wrapping_add_signed(change.open);
                group.bearing = group.bearing.wrapping_add_signed(change.bearing);
            });
        }
    }

    fn touch(&mut self, group: u64, change: impl FnOnce(&mut Group)) {
        let Some(at) = usize::try_from(group).ok().filter(|at| *at < self.groups.len()) else {
            return;
        };
        self.counts.take(&self.groups, self.status(group), group);
        change(&mut self.groups[at]);
        self.counts.add(&self.groups, self.status(group), group);
    }
}

impl Counts {
    fn add(&mut self, groups: &[Group], status: Status, group: u64) {
        self.shift(groups, status, group, u64::wrapping_add);
    }

    fn take(&mut self, groups: &[Group], status: Status, group: u64) {
        self.shift(groups, status, group, u64::wrapping_sub);
    }

    fn shift(&mut self, groups: &[Group], status: Status, group: u64, by: impl Fn(u64, u64) -> u64) {
        let group = usize::try_from(group).ok().and_then(|at| groups.get(at)).copied().unwrap_or_default();
        self.inputs = by(self.inputs, group.inputs);
        match status {
            Status::There => {
                self.there = by(self.there, 1);
                self.covered = by(self.covered, group.inputs.wrapping_sub(group.lost));
            }
            Status::Short => self.short = by(self.short, 1),
            Status::Open | Status::Empty => {}
        }
    }
}
