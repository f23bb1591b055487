//! Giving out items to workers.

use std::collections::BTreeMap;

use super::turns::Passed;
use crate::{
    attempts::Trouble,
    ids::{Now, WorkerId},
    outbox::{Assignment, Notice, Order, Outbox},
    schedule::{queues::Next, wards::next_ward},
    state::State,
    workers::Group,
};

/// Gives out items: to the emptiest worker that may have any, of each item's job the one with the highest priority, then with
/// the fewest attempts under way, later stages before earlier ones.
///
/// A worker gets a run of items at once, at most its share of what is pending: so neighbours end together and are kept
/// together, messages are few, and yet the last items are spread over all (guided self-scheduling, Polychronopoulos
/// and Kuck 1987).
pub(crate) fn hand_out(state: &mut State, now: Now, out: &mut Outbox) {
    // Here and not only when time passes, or when there is room: or what could be given out now would wait for either.
    out.notices.extend(state.queues.wake(now).into_iter().map(Notice::Job));
    state.queues.learn_groups(&mut state.fleet);
    state.queues.rank_changed(&state.ledger);
    if state.reunion.is_on(now) || state.queues.is_empty() {
        return;
    }
    let mut given: BTreeMap<WorkerId, Vec<Assignment>> = BTreeMap::new();
    give_wards(state, &mut given, out);
    // One worker of each kind, until even that can be given nothing. What is given changes the place of no other.
    let mut emptiest = state.fleet.emptiest_of_each();
    let mut last: BTreeMap<Group, (u64, WorkerId)> = BTreeMap::new();
    while let Some((load, worker, group)) = emptiest.pop_first() {
        state.queues.rank_waiting(&state.ledger, load, group);
        let mut passed = Passed::default();
        let run = run_for(state, (worker, group), now, &mut passed);
        if run.is_empty() {
            // What is counted, or not for this one, may be for the next of its kind. One without a free slot has no room for it.
            let next = state.fleet.emptiest_behind(group, Some((load, worker)));
            let may = |(load, _, _): &(u64, WorkerId, Group)| passed.has_parts() || !passed.is_empty() && *load < 1024;
            emptiest.extend(next.filter(may));
            last.insert(group, (load, worker));
            continue;
        }
        for assignment in &run {
            out.notice_job(assignment.item.job);
        }
        given.entry(worker).or_default().extend(run);
        emptiest.extend(state.fleet.emptiest_behind(group, last.get(&group).copied()));
    }
    // What was set apart just now may have a worker that holds nothing.
    give_wards(state, &mut given, out);
    out.orders.extend(given.into_iter().map(|(worker, attempts)| Order::Assign { worker, attempts }));
}

/// Gives items that are to run alone to workers that hold nothing.
fn give_wards(state: &mut State, given: &mut BTreeMap<WorkerId, Vec<Assignment>>, out: &mut Outbox) {
    while let Some((worker, item, source)) = next_ward(state) {
        let next = Next { item, source, pending: 1 };
        out.notice_job(item.job);
        given.entry(worker).or_default().push(assign(state, &next, worker));
    }
}

/// What a worker is given at once; nothing when there is nothing for one as loaded as it is.
fn run_for(state: &mut State, (id, group): (WorkerId, Group), now: Now, passed: &mut Passed) -> Vec<Assignment> {
    let mut run = Vec::new();
    let mut share = 1;
    while (run.len() as u64) < share
        && let Some(worker) = state.fleet.worker(id)
        && let Some(next) = state.queues.next(&state.ledger, now, (id, worker, state.fleet.load(id), group), passed)
    {
        if run.is_empty()
            && let Some(job) = state.ledger.job(next.item.job)
        {
            let needs = job.needs_of(&next.item).map(|needs| &**needs);
            share = state.fleet.share(id, next.pending, &job.record.namespace, needs);
        }
        run.push(assign(state, &next, id));
    }
    run
}

fn assign(state: &mut State, next: &Next, worker: WorkerId) -> Assignment {
    let item = next.item;
    let tries = state.ledger.job(item.job).and_then(|job| job.trouble(&item)).map_or(0, Trouble::tries);
    let needs = state.ledger.job(item.job).and_then(|job| job.needs_of(&item));
    let grown = state.ledger.job(item.job).is_some_and(|job| job.growths(item.stage.into(), item.index) > 0);
    let memory_bytes = if grown { needs.map_or(0, |needs| needs.memory_bytes) } else { 0 };
    let id = state.fleet.give(item, needs, worker);
    state.queues.take(&item, id);
    Assignment { id, item, attempt: tries.saturating_add(1), source: next.source, memory_bytes }
}
