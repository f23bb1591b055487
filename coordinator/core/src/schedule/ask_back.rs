//! Asking back, at the tail of the work: items queued behind others on one worker, while slots of another are idle.

use std::collections::BTreeMap;

use crate::{
    ids::{AttemptId, Now, WorkerId},
    outbox::{Order, Outbox},
    state::State,
};

/// Runs shorter than this (microseconds) are not worth asking back for an idle worker.
const WORTH_RETURNING_US: u64 = 20_000;

/// Asks for one item for each idle slot for which none is on its way back yet.
pub(crate) fn ask_back(state: &mut State, now: Now, out: &mut Outbox) {
    let idle = state.fleet.idle_slots();
    if idle == 0 || state.reunion.is_on(now) {
        return;
    }
    let mut wanted = idle.saturating_sub(state.fleet.coming_back());
    let mut asked: BTreeMap<WorkerId, Vec<AttemptId>> = BTreeMap::new();
    for worker in state.fleet.connected() {
        for attempt in state.fleet.queued_on(worker) {
            if wanted == 0 {
                break;
            }
            if is_worth_returning(state, attempt) {
                wanted -= 1;
                asked.entry(worker).or_default().push(attempt);
            }
        }
    }
    for (worker, ids) in asked {
        ids.iter().for_each(|id| state.fleet.ask_back(*id));
        out.orders.push(Order::Return { worker, ids });
    }
}

fn is_worth_returning(state: &State, id: AttemptId) -> bool {
    state.fleet.not_asked_back(id).is_some_and(|item| state.queues.average_us(&item) >= WORTH_RETURNING_US)
}
