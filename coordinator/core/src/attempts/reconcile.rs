//! What a worker that connects holds, and what the core believes it holds, are brought together.

use std::collections::BTreeSet;

use crate::{
    ids::{AttemptId, ItemKey, WorkerId},
    input::Held,
    outbox::{Order, Outbox},
    stages::ItemState,
    state::State,
};

/// Gives back what the worker never got or lost, adopts what may go on, and stops the rest.
pub(crate) fn reconcile(state: &mut State, worker: WorkerId, held: &[Held], out: &mut Outbox) {
    let ids: BTreeSet<AttemptId> = held.iter().map(|held| held.id).collect();
    let believed = state.fleet.worker(worker).map(|known| known.attempts.clone()).unwrap_or_default();
    for lost in believed.difference(&ids) {
        if let Some(item) = state.fleet.take(*lost, worker)
            && state.release(item, *lost)
        {
            state.queues.give_back(&item);
            out.notice_job(item.job);
        }
    }
    // An order to return them may have been lost with the link.
    for kept in believed.intersection(&ids) {
        state.fleet.keep(*kept);
    }
    let mut stop = Vec::new();
    for held in held.iter().filter(|held| !believed.contains(&held.id)) {
        if state.fleet.is_nobodys(held.id) && is_wanted(state, &held.item) && state.queues.adopt(&held.item, held.id) {
            state.fleet.hold(held.id, held.item, worker);
            out.notice_job(held.item.job);
        } else {
            stop.push(held.id);
        }
    }
    if !stop.is_empty() {
        out.orders.push(Order::Stop { worker, ids: stop });
    }
}

/// Whether the item exists and has not ended, so that an attempt from before the coordinator's start, or from before a lost
/// lease, may go on.
fn is_wanted(state: &State, item: &ItemKey) -> bool {
    state.ledger.job(item.job).is_some_and(|job| {
        item.index < job.items(usize::from(item.stage)) && job.state(item) == Some(ItemState::Pending)
    })
}
