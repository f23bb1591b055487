//! The stages of a job that gather, and what flows into their groups from a unit of what is before.

use crate::stages::{Change, Gathering, ItemState, Share, StageKind, Status};

/// The stages of a job that gather, before anything has ended.
pub(super) fn gatherings(stages: impl IntoIterator<Item = StageKind>, inputs: u64) -> Vec<Gathering> {
    let mut gatherings: Vec<Gathering> = Vec::new();
    for (at, kind) in stages.into_iter().enumerate() {
        let before = gatherings.last();
        let from = before.map_or((0, false), |before| (before.at, true));
        // A first stage that gathers has nothing before it.
        let units = if at == 0 { 0 } else { before.map_or(inputs, Gathering::len) };
        let Some(mut gathering) = Gathering::new(kind, at, from, units) else { continue };
        if gathering.chained {
            for unit in 0..units {
                if let Some(group) = gathering.group_of(unit, || None) {
                    let inputs = before.map_or(0, |before| before.inputs(unit)).cast_signed();
                    gathering.change(group, Change { inputs, ..Change::default() });
                    gathering.shift(group, Share::default(), share(&gatherings, &gathering, unit, ItemState::Pending));
                }
            }
        } else {
            for group in 0..gathering.len() {
                let Some(first) = gathering.first_unit(group) else { break };
                let end = if gathering.is_of_all() { units } else { gathering.first_unit(group + 1).unwrap_or(units) };
                let here = end.min(units) - first;
                let change = here.cast_signed();
                gathering.change(group, Change { inputs: change, open: change, bearing: 0 });
            }
        }
        gatherings.push(gathering);
    }
    gatherings
}

/// What a unit in that state gives to the group of a gathering that it flows into.
pub(super) fn share(before: &[Gathering], gathering: &Gathering, unit: u64, state: ItemState) -> Share {
    let previous = if gathering.chained { before.last() } else { None };
    let pending = state == ItemState::Pending;
    let status = previous.map(|previous| previous.status(unit));
    let never = pending && status == Some(Status::Short);
    let inputs = previous.map_or(1, |previous| previous.inputs(unit));
    let is_lost = state == ItemState::Failed || never || gathering.is_bad(unit);
    let open = u64::from(pending && !never && status != Some(Status::Empty));
    let (missing, lost) = match previous {
        _ if is_lost => (inputs, inputs),
        Some(previous) => (previous.missing_on(unit), previous.lost(unit)),
        None => (0, 0),
    };
    Share { open, missing, lost }
}
