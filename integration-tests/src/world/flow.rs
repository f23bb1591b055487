//! What flows into stages that gather, worked out from what is kept alone: which items there are. The core counts as outcomes come; here
//! everything is looked at anew, so that neither can be wrong in the same way.

use std::collections::{BTreeMap, BTreeSet};

use longshore_core::{ItemKey, JobId, StageKind};

use super::kept::Kept;

/// Where what an item can be made of stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Open,
    There,
    Short,
    Empty,
}

/// An input of the job, or a group of a stage that gathers.
#[derive(Debug, Clone)]
struct Unit {
    /// The job's inputs in it.
    inputs: BTreeSet<u64>,
    /// How many of them whoever gathers it next misses by it.
    missing: u64,
    /// Whether anything in it did not come through.
    lacks: bool,
    status: Status,
}

/// The items of a job that are there, by stage, each with the unit it comes from; and which items have gathered less than all.
#[derive(Debug, Default)]
pub struct Flow {
    stages: Vec<BTreeMap<u64, usize>>,
    lacking: BTreeSet<(u16, u64)>,
}

impl Flow {
    /// What flows in a job; nothing where there is none.
    #[must_use]
    pub fn of(kept: &Kept, id: JobId) -> Self {
        let mut flow = Self::default();
        let Some(job) = kept.job(id) else { return flow };
        let input = |input| Unit { inputs: BTreeSet::from([input]), missing: 0, lacks: false, status: Status::There };
        let mut units: Vec<Unit> = (0..job.inputs).map(input).collect();
        let mut root = 0;
        for (at, stage) in (0_u16..).zip(&job.spec.stages) {
            if at == 0 {
                flow.stages.push((0..).zip(0..units.len()).collect());
            } else if stage.kind == StageKind::Map {
                flow.stages.push(flow.children(kept, id, at - 1));
            } else {
                units = flow.gather(kept, id, (root, at), &units, stage.kind);
                root = at;
                let there = units.iter().enumerate().filter(|(_, unit)| unit.status == Status::There);
                flow.stages.push(there.map(|(number, _)| (number as u64, number)).collect());
                let lacking = units.iter().enumerate().filter(|(_, unit)| unit.lacks);
                flow.lacking.extend(lacking.map(|(number, _)| (at, number as u64)));
            }
        }
        flow
    }

    /// Whether there is such an item.
    #[must_use]
    pub fn has(&self, item: &ItemKey) -> bool {
        self.stages.get(usize::from(item.stage)).is_some_and(|items| items.contains_key(&item.index))
    }

    /// How many items a stage has.
    #[must_use]
    pub fn items(&self, stage: usize) -> u64 {
        self.stages.get(stage).map_or(0, |items| items.len() as u64)
    }

    /// Whether the item gathers less than there might be.
    #[must_use]
    pub fn lacks(&self, item: &ItemKey) -> bool {
        self.lacking.contains(&(item.stage, item.index))
    }

    fn children(&self, kept: &Kept, id: JobId, before: u16) -> BTreeMap<u64, usize> {
        let parents = &self.stages[usize::from(before)];
        let mut children = BTreeMap::new();
        for outcome in kept.outcomes(id, before).filter(|outcome| outcome.success) {
            if let Some(unit) = parents.get(&outcome.item.index) {
                children.extend((0..outcome.outputs).map(|ordinal| (outcome.first_child + ordinal, *unit)));
            }
        }
        children
    }

    fn gather(&self, kept: &Kept, id: JobId, (root, at): (u16, u16), units: &[Unit], kind: StageKind) -> Vec<Unit> {
        let groups = match kind {
            StageKind::Map | StageKind::Gather { .. } => 1,
            StageKind::Groups { groups, .. } => groups,
            StageKind::Ranges { width, .. } => (units.len() as u64).div_ceil(width),
        };
        let none = Unit { inputs: BTreeSet::new(), missing: 0, lacks: false, status: Status::There };
        let mut found = vec![(none, false, false); usize::try_from(groups).unwrap_or_default()];
        for (number, unit) in units.iter().enumerate() {
            let first = unit.inputs.first().copied().unwrap_or_default();
            let group = match kind {
                StageKind::Map | StageKind::Gather { .. } => 0,
                StageKind::Groups { groups, .. } => first % groups,
                StageKind::Ranges { width, .. } => number as u64 / width,
            };
            let (open, failed, bears) = self.below(kept, id, (root, at), number);
            let (group, is_open, is_bearing) = &mut found[usize::try_from(group).unwrap_or_default()];
            let lost = failed || unit.status == Status::Short;
            group.inputs.extend(&unit.inputs);
            group.missing += if lost { unit.inputs.len() as u64 } else { unit.missing };
            group.lacks |= lost || unit.lacks;
            *is_open |= open || unit.status == Status::Open;
            *is_bearing |= bears;
        }
        let require = kind.require().unwrap_or_default();
        let closed = |(unit, open, bears): (Unit, bool, bool)| {
            let inputs = unit.inputs.len() as u64;
            let status = if open {
                Status::Open
            } else if !require.is_met(inputs, unit.missing) {
                Status::Short
            } else if !bears && !matches!(kind, StageKind::Gather { .. }) {
                Status::Empty
            } else {
                Status::There
            };
            // Only the last level of a tree decides.
            let missing = if matches!(kind, StageKind::Ranges { .. }) { unit.missing } else { 0 };
            Unit { status, missing, ..unit }
        };
        found.into_iter().map(closed).collect()
    }

    /// Whether items that come from the unit have not ended, whether some failed, and whether the last of them left anything.
    fn below(&self, kept: &Kept, job: JobId, (root, at): (u16, u16), unit: usize) -> (bool, bool, bool) {
        let (mut open, mut failed, mut bears) = (false, false, false);
        for stage in root..at {
            let own = self.stages[usize::from(stage)].iter().filter(|(_, of)| **of == unit);
            for (index, _) in own {
                match kept.outcome(&ItemKey { job, stage, index: *index }) {
                    None => open = true,
                    Some(outcome) if !outcome.success => failed = true,
                    Some(outcome) => bears |= stage + 1 == at && outcome.outputs > 0,
                }
            }
        }
        (open, failed, bears)
    }
}
