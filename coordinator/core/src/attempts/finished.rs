//! Attempts have ended: which of them count, and what follows for their items.

use std::collections::BTreeSet;

use super::{
    blame::failed,
    commit::{Ended, commit},
    imageless::imageless,
};
use crate::{
    fault::{Blame, FaultClass},
    ids::{Incarnation, Now, WorkerId},
    input::{End, Finished},
    jobs::end::end_if_spent,
    outbox::{Notice, Order, Outbox},
    state::State,
};

/// Takes in the ends of attempts. Whatever comes of them, the worker may forget them.
pub(crate) fn finished(
    state: &mut State,
    now: Now,
    (worker, incarnation): (WorkerId, Incarnation),
    results: Vec<Finished>,
    out: &mut Outbox,
) {
    if !state.fleet.is_life(worker, incarnation) {
        return;
    }
    let mut settled = Vec::with_capacity(results.len());
    out.records.reserve(results.len());
    let mut touched = BTreeSet::new();
    for result in results {
        settled.push(result.id);
        // Fenced: not an attempt this worker holds by our knowledge, so it commits nothing.
        let Some(item) = state.fleet.take(result.id, worker) else {
            continue;
        };
        if !state.release(item, result.id) {
            continue;
        }
        touched.insert(item.job);
        if item != result.item {
            state.queues.give_back(&item);
            continue;
        }
        end_attempt(state, now, worker, result, out);
    }
    out.orders.push(Order::Settle { worker, ids: settled });
    for job in touched {
        out.notices.push(Notice::Job(job));
        end_if_spent(state, now, job, out);
    }
}

fn end_attempt(state: &mut State, now: Now, worker: WorkerId, result: Finished, out: &mut Outbox) {
    let item = result.item;
    match result.end {
        End::Returned => state.queues.give_back(&item),
        End::Succeeded { outputs, detail } => {
            state.queues.ran(&item, result.run_us);
            state.queues.note(&item, None);
            commit(state, item, Ended::Succeeded { outputs }, detail, out);
        }
        End::Failed { blame, fault, detail } if fault.class == FaultClass::Image => {
            imageless(state, now, (item, worker), (blame, fault), detail, out);
        }
        End::Failed { blame, fault, detail } => {
            if blame == Blame::Item {
                // Or a stage in which everything fails would be given out one by one.
                state.queues.ran(&item, result.run_us);
            }
            failed(state, now, (item, worker), (blame, fault), detail, out);
        }
    }
}

#[cfg(test)]
mod tests;
