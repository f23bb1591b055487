//! Items that are to run alone: those under which workers have gone down again and again.
//!
//! A worker is kept for one, is given nothing else until what it holds has ended, and then that item alone. So the next loss
//! tells whether it was the item, and nothing else goes down with it. At most half of the workers that may be given such items
//! are kept for them at once, and at least one.

use std::collections::BTreeSet;

use crate::{
    ids::{ItemKey, WorkerId},
    stages::Source,
    state::State,
};

/// An item that can be given out by that, and to whom: to a worker that holds nothing. Workers whose item has ended, or does
/// not need them any more, are given anything again.
pub(super) fn next_ward(state: &mut State) -> Option<(WorkerId, ItemKey, Source)> {
    let kept = release(state);
    if !state.queues.has_suspects() {
        return None;
    }
    let suspects = state.queues.suspects(&state.ledger);
    for (item, _) in &suspects {
        if !kept.contains(item)
            && let Some(worker) = choose(state, item)
        {
            state.fleet.set_ward(worker, Some(*item));
        }
    }
    let empty = state.fleet.wards().filter(|(_, worker, _)| worker.connected && worker.attempts.is_empty());
    let mut ready = empty.filter_map(|(worker, _, ward)| {
        let source = suspects.iter().find(|(item, _)| *item == ward).map(|(_, source)| *source)?;
        Some((worker, ward, source))
    });
    ready.next()
}

/// Lets go of workers that nothing is to be alone on any more; answers what the others are kept for.
fn release(state: &mut State) -> BTreeSet<ItemKey> {
    let (mut kept, mut free) = (BTreeSet::new(), Vec::new());
    for (id, worker, ward) in state.fleet.wards() {
        let runs = worker.attempts.iter().any(|attempt| state.fleet.item(*attempt) == Some(ward));
        // One that is drained meanwhile is given nothing more, this neither.
        let waits = worker.connected && worker.slots > 0 && !worker.draining;
        if runs || waits && state.queues.is_set_apart(&ward) {
            kept.insert(ward);
        } else {
            free.push(id);
        }
    }
    for worker in free {
        state.fleet.set_ward(worker, None);
    }
    kept
}

/// The worker for an item: not the one that went down with it last, if there is another, and the emptiest of those. None while
/// half of them are kept for others.
fn choose(state: &State, item: &ItemKey) -> Option<WorkerId> {
    let job = state.ledger.job(item.job)?;
    let last = job.trouble(item).and_then(|trouble| trouble.losses.on.last()).map(|last| last.worker);
    let may: Vec<WorkerId> = {
        let needs = job.needs_of(item).map(|needs| &**needs);
        state.fleet.takers_for(&job.record.namespace, needs).collect()
    };
    let is_free = |id: &WorkerId| state.fleet.worker(*id).is_some_and(|worker| worker.ward.is_none());
    let free: Vec<WorkerId> = may.iter().copied().filter(is_free).collect();
    if may.len() - free.len() >= may.len().div_ceil(2) {
        return None;
    }
    free.into_iter().min_by_key(|id| (Some(*id) == last, state.fleet.load(*id), *id))
}
