//! Why what of a job waits does not run: what has to be mended first comes first.
//!
//! It asks the predicates by which items are given out, and no others: so what it says could run there is given out there. It looks
//! at stages and workers, never at all items.

mod hurdle;
mod rivals;
mod stage;
mod why;

use std::collections::BTreeMap;

pub use self::why::{Explanation, Hindered, Hurdle, Reason, Why};
use self::{
    hurdle::{hurdle, unix_ms},
    stage::{classes, explain_stage},
};
use crate::{
    ids::{AttemptId, JobId, WorkerId},
    jobs::Job,
    schedule::waiting,
    state::State,
};

/// Groups that are told.
const TOLD: usize = 64;

/// Attempts of a stage that are looked at for those that wait behind others.
const LOOK: usize = 100_000;

/// Why what of the job does not run does not.
pub(crate) fn explain(state: &State, id: JobId) -> Option<Explanation> {
    let job = state.ledger.job(id)?;
    let (running, mut why) = under_way(state, job);
    match whole(state, job) {
        Some(reason) => {
            let items = job.unended().saturating_sub(running + why.iter().map(|why| why.items).sum::<u64>());
            let all = Why { stage: None, items, example: None, reason, workers: Vec::new() };
            why.extend((items > 0 || all.reason != Reason::Ended).then_some(all));
        }
        None => (0..job.stage_count()).for_each(|at| explain_stage(state, job, at, &mut why)),
    }
    why.sort_by_key(|why| (why.reason.rank(), why.stage));
    let left_out = why.len().saturating_sub(TOLD) as u64;
    why.truncate(TOLD);
    Some(Explanation { record: job.record.clone(), running, why, left_out })
}

/// What keeps everything of the job, if something does.
fn whole(state: &State, job: &Job) -> Option<Reason> {
    let record = &job.record;
    if record.state.has_ended() {
        Some(Reason::Ended)
    } else if let Some(cut) = record.cut {
        Some(Reason::Cut(cut))
    } else if record.paused.is_some() {
        Some(Reason::Paused)
    } else if !record.awaits.is_empty() {
        Some(Reason::After(record.awaits.clone()))
    } else if state.reunion.is_on(state.fleet.time()) {
        let until_ms = state.reunion.deadline_ms().unwrap_or_default();
        Some(Reason::Reunion { until_ms: unix_ms(state, until_ms) })
    } else {
        None
    }
}

/// How many items run, and those that were given to workers and wait there.
fn under_way(state: &State, job: &Job) -> (u64, Vec<Why>) {
    let behind = |(id, worker): (WorkerId, &crate::workers::Worker)| {
        Some((id, *worker.attempts.iter().nth(worker.slots as usize)?))
    };
    let first_behind: BTreeMap<WorkerId, AttemptId> = state.fleet.workers().filter_map(behind).collect();
    let waits = |attempt: AttemptId| {
        let holder = state.fleet.holder(attempt);
        holder.and_then(|holder| first_behind.get(&holder)).is_some_and(|first| attempt >= *first)
    };
    let (mut running, mut why) = (0, Vec::new());
    for (stage, at) in (0_u16..).zip(0..job.stage_count()) {
        let Some(queue) = state.queues.of(job.record.id, at) else { continue };
        let mut ahead = queue.live_from(0).take(LOOK).filter(|(_, attempt)| waits(*attempt)).peekable();
        let example = ahead.peek().map(|(index, _)| *index);
        let items = ahead.count() as u64;
        running += queue.live() - items;
        if items > 0 {
            why.push(Why { stage: Some(stage), items, example, reason: Reason::Ahead, workers: Vec::new() });
        }
    }
    (running, why)
}

/// A stage of the job and a worker that could be given an item of it now and was not: there is none after a step.
pub(crate) fn overlooked(state: &State, job: &Job) -> Option<(u16, WorkerId)> {
    could_run(state, job).into_iter().next()
}

/// The stages of the job of which items could be given out now, each with the workers to which they could be.
pub(crate) fn could_run(state: &State, job: &Job) -> Vec<(u16, WorkerId)> {
    let mut found = Vec::new();
    if whole(state, job).is_some() {
        return found;
    }
    for (stage, at) in (0_u16..).zip(0..job.stage_count()) {
        let Some(queue) = state.queues.of(job.record.id, at).filter(|_| state.queues.room(job, at) > 0) else {
            continue;
        };
        for (items, _) in classes(job, at, &waiting(job, at, queue)).into_iter().filter(|(_, few)| few.items > 0) {
            let mine = state.fleet.workers().filter(|(id, _)| state.fleet.clientele(*id).has(&job.record.namespace));
            let free = mine.filter(|(id, worker)| hurdle(state, items, *id, worker) == Hurdle::Nothing);
            found.extend(free.map(|(id, _)| (stage, id)));
        }
    }
    found
}

#[cfg(test)]
mod tests;
