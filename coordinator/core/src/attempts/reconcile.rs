//! What a worker that connects holds, and what the core believes it holds, are brought together.

use std::collections::BTreeSet;

use crate::{
    ids::{AttemptId, ItemKey, WorkerId},
    input::Held,
    outbox::{Order, Outbox},
    state::State,
};

/// Gives back what the worker never got, lost, or may not have any more, adopts what may go on, and stops the rest.
pub(crate) fn reconcile(state: &mut State, worker: WorkerId, held: &[Held], out: &mut Outbox) {
    let ids: BTreeSet<AttemptId> = held.iter().map(|held| held.id).collect();
    let believed = state.fleet.worker(worker).map(|known| known.attempts.clone()).unwrap_or_default();
    let goes_on =
        |id: &AttemptId| ids.contains(id) && state.fleet.item(*id).is_some_and(|it| may_have(state, worker, &it));
    let (kept, lost): (BTreeSet<AttemptId>, BTreeSet<AttemptId>) = believed.into_iter().partition(goes_on);
    for lost in lost {
        if let Some(item) = state.fleet.take(lost, worker)
            && state.release(item, lost)
        {
            state.queues.give_back(&item);
            out.notice_job(item.job);
        }
    }
    // An order to return them may have been lost with the link.
    for kept in &kept {
        state.fleet.keep(*kept);
    }
    let mut stop = Vec::new();
    for held in held.iter().filter(|held| !kept.contains(&held.id)) {
        let wanted = is_wanted(state, &held.item) && may_have(state, worker, &held.item);
        if state.fleet.is_nobodys(held.id) && wanted && state.queues.adopt(&held.item, held.id) {
            let needs = state.ledger.job(held.item.job).and_then(|job| job.needs_of(&held.item));
            state.fleet.hold(held.id, held.item, needs, worker);
            out.notice_job(held.item.job);
        } else {
            stop.push(held.id);
        }
    }
    tell_to_stop(worker, stop, out);
}

/// Adopts nothing: another life of the worker was in since it was given out, and has ended under this one what it found.
/// What becomes of that is nobody's fault, so nothing of it is to be heard.
pub(crate) fn stop_all(worker: WorkerId, held: &[Held], out: &mut Outbox) {
    tell_to_stop(worker, held.iter().map(|held| held.id).collect(), out);
}

fn tell_to_stop(worker: WorkerId, ids: Vec<AttemptId>, out: &mut Outbox) {
    if !ids.is_empty() {
        out.orders.push(Order::Stop { worker, ids });
    }
}

/// Whether the worker could be given the item.
fn may_have(state: &State, worker: WorkerId, item: &ItemKey) -> bool {
    state.ledger.job(item.job).is_some_and(|job| {
        let needs = job.needs_of(item).map(|needs| &**needs);
        state.fleet.may_have(worker, &job.record.namespace, needs)
    })
}

/// Whether the item exists and has not ended, so that an attempt from before the coordinator's start, or from before a lost
/// lease, may go on.
fn is_wanted(state: &State, item: &ItemKey) -> bool {
    state.ledger.job(item.job).is_some_and(|job| {
        let stopped = job.record.paused.as_ref().is_some_and(|paused| paused.stop);
        !stopped && job.is_open(usize::from(item.stage), item.index)
    })
}
