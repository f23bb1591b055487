//! Which other jobs are given the next slot before one.

use super::{hurdle::Items, why::Reason};
use crate::{ids::WorkerId, jobs::Job, state::State};

/// Jobs that are looked at.
const LOOK: usize = 1_000;

/// Who goes before these items at those workers, if anybody does.
pub(super) fn rivals(state: &State, items: Items<'_>, workers: &[WorkerId]) -> Option<Reason> {
    let (record, ours) = (&items.job.record, live(state, items.job));
    let mut highest: Option<&Job> = None;
    let mut turns = 0;
    for id in state.queues.jobs().filter(|id| *id != record.id).take(LOOK) {
        let Some(other) = state.ledger.job(id).filter(|job| job.record.may_dispatch()) else { continue };
        let priority = other.record.spec.priority;
        if priority < record.spec.priority || !is_rival(state, other, workers) {
            continue;
        }
        if priority > record.spec.priority {
            highest = highest.into_iter().chain([other]).max_by_key(|job| job.record.spec.priority);
        } else if live(state, other) < ours {
            turns += 1;
        }
    }
    match highest {
        Some(job) => Some(Reason::Priority {
            job: (job.record.namespace == record.namespace).then_some(job.record.id),
            priority: job.record.spec.priority,
        }),
        None => (turns > 0).then_some(Reason::Turn { jobs: turns }),
    }
}

fn live(state: &State, job: &Job) -> u64 {
    let queues = (0..job.stage_count()).filter_map(|at| state.queues.of(job.record.id, at));
    queues.map(crate::schedule::Queue::live).sum()
}

/// Whether a job has something that one of these workers could run.
fn is_rival(state: &State, job: &Job, workers: &[WorkerId]) -> bool {
    let namespace = &job.record.namespace;
    let may_have = |at: usize| {
        let needs = job.needs(at, 0).map(|needs| &**needs);
        workers.iter().any(|worker| state.fleet.may_have(*worker, namespace, needs))
    };
    (0..job.stage_count()).any(|at| {
        let queue = state.queues.of(job.record.id, at);
        let pending = queue.is_some_and(|queue| queue.pending(job, at, 0) > 0);
        pending && state.queues.room(job, at) > 0 && may_have(at)
    })
}
