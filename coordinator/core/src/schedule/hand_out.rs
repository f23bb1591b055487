//! Giving out items to workers.

use std::collections::BTreeMap;

use crate::{
    ids::{Now, WorkerId},
    outbox::{Assignment, Order, Outbox},
    schedule::queues::Next,
    state::State,
};

/// Gives out items: to the emptiest worker that may have any, of each item's job the one with the highest priority, then with
/// the fewest attempts under way, later stages before earlier ones.
///
/// A worker gets a run of items at once, at most its share of what is pending: so neighbours end together and are kept
/// together, messages are few, and yet the last items are spread over all (guided self-scheduling, Polychronopoulos
/// and Kuck 1987).
pub(crate) fn hand_out(state: &mut State, now: Now, out: &mut Outbox) {
    state.queues.rank_changed(&state.ledger);
    if state.reunion.is_on(now) || state.queues.is_empty() {
        return;
    }
    let mut given: BTreeMap<WorkerId, Vec<Assignment>> = BTreeMap::new();
    // One worker of each clientele, until even that can be given nothing. What is given changes the place of no other.
    let mut emptiest = state.fleet.emptiest_of_each();
    while let Some((load, worker, group)) = emptiest.pop_first() {
        state.queues.rank_waiting(&state.ledger, load, state.fleet.clientele(worker));
        let run = run_for(state, worker, now);
        if run.is_empty() {
            continue;
        }
        for assignment in &run {
            out.notice_job(assignment.item.job);
        }
        given.entry(worker).or_default().extend(run);
        emptiest.extend(state.fleet.emptiest_of(group));
    }
    out.orders.extend(given.into_iter().map(|(worker, attempts)| Order::Assign { worker, attempts }));
}

/// What a worker is given at once; nothing when there is nothing for one as loaded as it is.
fn run_for(state: &mut State, worker: WorkerId, now: Now) -> Vec<Assignment> {
    let mut run = Vec::new();
    let mut share = 1;
    while (run.len() as u64) < share
        && let Some(next) =
            state.queues.next(&state.ledger, now, state.fleet.load(worker), state.fleet.clientele(worker))
    {
        if run.is_empty()
            && let Some(job) = state.ledger.job(next.item.job)
        {
            share = state.fleet.share(worker, next.pending, &job.record.namespace);
        }
        run.push(assign(state, &next, worker));
    }
    run
}

fn assign(state: &mut State, next: &Next, worker: WorkerId) -> Assignment {
    let item = next.item;
    let trouble = state.ledger.job(item.job).and_then(|job| job.trouble(&item)).unwrap_or_default();
    let id = state.fleet.give(item, worker);
    state.queues.take(&item, id);
    Assignment { id, item, attempt: trouble.tries().saturating_add(1), source: next.source }
}
