//! Groups of inputs, and items that are none any more, as kept messages, and back.

use longshore_core::{GroupsRecord, ItemKey, Record, Require, Run, WithdrawnRecord};

use super::{error::Malformed, v1};

/// A rule; nothing for the one that all stages had.
pub fn require_to_kept(require: Require) -> Option<v1::Require> {
    match require {
        Require::All => None,
        Require::Any => Some(v1::Require { any: true, ..v1::Require::default() }),
        Require::Count(count) => Some(v1::Require { count, ..v1::Require::default() }),
        Require::Millionths(millionths) => Some(v1::Require { millionths, ..v1::Require::default() }),
    }
}

/// The rule. What cannot be said by a program of today asks for everything.
pub fn require_from_kept(require: v1::Require) -> Require {
    match require {
        v1::Require { any: true, .. } => Require::Any,
        v1::Require { count: 1.., .. } => Require::Count(require.count),
        v1::Require { millionths: 1.., .. } => Require::Millionths(require.millionths),
        _ => Require::All,
    }
}

/// Groups, but for their job, stage and number.
pub fn groups_to_kept(groups: GroupsRecord) -> v1::Flow {
    let GroupsRecord { job: _, stage: _, number: _, first, runs } = groups;
    let (runs, groups) = runs.iter().map(|run| (run.inputs, run.group.map_or(0, |group| group + 1))).unzip();
    v1::Flow { first, runs, groups, withdrawn: 0, parent: 0 }
}

/// The items that a success had left, and that are none any more; without the first of them.
pub fn withdrawn_to_kept(withdrawn: &WithdrawnRecord) -> v1::Flow {
    let WithdrawnRecord { item, first_child: _, outputs } = *withdrawn;
    v1::Flow { withdrawn: outputs, parent: item.index, ..v1::Flow::default() }
}

/// What that entry says.
pub fn from_kept(key: ItemKey, flow: v1::Flow) -> Result<Record, Malformed> {
    let v1::Flow { first, runs, groups, withdrawn, parent } = flow;
    let ItemKey { job, stage, index } = key;
    if withdrawn > 0 {
        let stage = stage.checked_sub(1).ok_or(Malformed::Missing { field: "stage before" })?;
        let item = ItemKey { job, stage, index: parent };
        return Ok(Record::Withdrawn(WithdrawnRecord { item, first_child: index, outputs: withdrawn }));
    }
    if runs.len() != groups.len() {
        return Err(Malformed::Missing { field: "groups of runs" });
    }
    let run = |(inputs, group): (u64, u64)| Run { inputs, group: group.checked_sub(1) };
    let runs = runs.into_iter().zip(groups).map(run).collect();
    Ok(Record::Groups(GroupsRecord { job, stage, number: index, first, runs }))
}
