//! Asking back, at the tail of the work: items queued behind others on one worker, while slots of another are idle.

use std::collections::BTreeMap;

use crate::{
    ids::{AttemptId, ItemKey, Now, WorkerId},
    outbox::{Order, Outbox},
    state::State,
    workers::IdleSlots,
};

/// Runs shorter than this (microseconds) are not worth asking back for an idle worker.
const WORTH_RETURNING_US: u64 = 20_000;

/// Asks for one item for each idle slot that may have it and for which none is on its way back yet.
pub(crate) fn ask_back(state: &mut State, now: Now, out: &mut Outbox) {
    let mut idle = state.fleet.idle_slots();
    if idle.is_empty() || state.reunion.is_on(now) {
        return;
    }
    let may_have = |idle: &mut IdleSlots<'_>, item: &ItemKey| {
        state.ledger.job(item.job).is_some_and(|job| {
            let needs = job.needs_of(item).map(|needs| &**needs);
            idle.take(&job.record.namespace, needs)
        })
    };
    for item in state.fleet.coming_back() {
        may_have(&mut idle, &item);
    }
    let mut asked: BTreeMap<WorkerId, Vec<AttemptId>> = BTreeMap::new();
    for worker in state.fleet.connected() {
        for attempt in state.fleet.queued_on(worker) {
            if idle.is_empty() {
                break;
            }
            if let Some(item) = worth_returning(state, attempt)
                && may_have(&mut idle, &item)
            {
                asked.entry(worker).or_default().push(attempt);
            }
        }
    }
    for (worker, ids) in asked {
        ids.iter().for_each(|id| state.fleet.ask_back(*id));
        out.orders.push(Order::Return { worker, ids });
    }
}

/// The attempt's item, if it was not asked back and runs for long enough.
fn worth_returning(state: &State, id: AttemptId) -> Option<ItemKey> {
    let item = state.fleet.not_asked_back(id).filter(|item| state.queues.average_us(item) >= WORTH_RETURNING_US);
    // Whether the idle one could have it is not known of its kind.
    item.filter(|item| !state.queues.missing.has_any((item.job, item.stage)))
}
