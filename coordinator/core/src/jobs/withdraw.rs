//! Failed items are put back: what was gathered without them is withdrawn, and all that was made of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    attempts::Trouble,
    ids::{ItemKey, JobId},
    jobs::Job,
    outbox::Outbox,
    record::{Record, WithdrawnRecord},
    stages::ItemState,
    state::State,
};

/// Items by their stages.
type Items = BTreeMap<u16, BTreeSet<u64>>;

/// Puts back items of a job that failed. Nothing of the job may be under way.
pub(super) fn put_back(state: &mut State, id: JobId, failed: Vec<ItemKey>, out: &mut Outbox) {
    let mut gathered = Items::new();
    if let Some(job) = state.ledger.job(id).filter(|job| job.may_withdraw(job.stage_count())) {
        for item in failed.iter().flat_map(|item| job.gathered_without(item)) {
            gathered.entry(item.stage).or_default().insert(item.index);
        }
    }
    for item in failed {
        let earlier = state.ledger.job(id).map_or(0, |job| job.tries(&item));
        state.keep(Record::OutcomeGone(item), out);
        if earlier > 0 {
            state.keep(Trouble { earlier, ..Trouble::default() }.record(item, Vec::new()), out);
        }
    }
    if !gathered.is_empty() {
        withdraw(state, id, gathered, out);
    }
}

/// Withdraws these successes and all that was made of them, the last first.
fn withdraw(state: &mut State, id: JobId, mut doomed: Items, out: &mut Outbox) {
    let Some(job) = state.ledger.job(id) else { return };
    let mut children = BTreeMap::new();
    for stage in 0..u16::try_from(job.stage_count()).unwrap_or(u16::MAX) {
        if let Some(items) = doomed.get(&stage) {
            let found = families(job, stage, items);
            let theirs = found.values().flat_map(|(first, count)| *first..first + count);
            doomed.entry(stage + 1).or_default().extend(theirs.collect::<Vec<_>>());
            children.insert(stage, found);
        }
    }
    for (stage, items) in doomed.into_iter().rev() {
        for index in items {
            let item = ItemKey { job: id, stage, index };
            let Some(job) = state.ledger.job(id) else { return };
            let troubled = job.trouble(&item).is_some();
            if job.state(&item) == Some(ItemState::Failed) {
                // It is no item any more, and would be listed among the failures for ever.
                let gone = Record::OutcomeGone(item);
                state.keep(gone, out);
            } else if job.has_succeeded(&item) {
                let family = children.get(&stage).and_then(|of: &BTreeMap<u64, (u64, u64)>| of.get(&index)).copied();
                let (first_child, outputs) = family.unwrap_or_default();
                state.keep(Record::Withdrawn(WithdrawnRecord { item, first_child, outputs }), out);
            }
            if troubled {
                state.keep(Record::TroubleGone(item), out);
            }
        }
    }
}

/// Where the outputs of these items are among the items of the next stage, and how many.
fn families(job: &Job, stage: u16, items: &BTreeSet<u64>) -> BTreeMap<u64, (u64, u64)> {
    let next = job.stage(usize::from(stage) + 1).into_iter();
    let families = next.flat_map(crate::stages::Stage::families).filter(|(parent, ..)| items.contains(parent));
    families.map(|(parent, first, count)| (parent, (first, count))).collect()
}
