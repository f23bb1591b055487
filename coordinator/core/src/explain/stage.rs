//! Why items of a stage do not run.

use super::{
    hurdle::{Items, Wish, hindered, reason, unix_ms},
    rivals::rivals,
    why::{Hindered, Hurdle, Reason, Why},
};
use crate::{
    ids::WorkerId,
    jobs::Job,
    schedule::{Few, Queue, Waiting, waiting},
    stages::Stage,
    state::State,
};

/// Adds the groups of stage `at` of a job that gives out items.
pub(super) fn explain_stage(state: &State, job: &Job, at: usize, groups: &mut Vec<Why>) {
    let (Some(queue), Ok(stage)) = (state.queues.of(job.record.id, at), u16::try_from(at)) else { return };
    let found = waiting(job, at, queue);
    let mut add = |few: Few, reason: Reason, workers: Vec<Hindered>| {
        if few.items > 0 {
            put(groups, Why { stage: Some(stage), items: few.items, example: few.example, reason, workers });
        }
    };
    for (items, few) in classes(job, at, &found) {
        if few.items > 0 {
            let (reason, workers) = explain_class(state, items, &found);
            add(few, reason, workers);
        }
    }
    let alone = Items { job, at, growths: 0, wish: Wish::Alone };
    if found.apart.items > 0 {
        add(found.apart, Reason::Alone, hindered(state, alone));
    }
    let (first_ms, last_ms) = found.pauses_end_ms;
    let pause = Reason::Pause { first_ms: unix_ms(state, first_ms), last_ms: unix_ms(state, last_ms) };
    add(found.pauses, pause, Vec::new());
    add(found.closed, why_closed(job, at, queue), Vec::new());
    if let Some((reason, items)) = comes_later(job, at) {
        groups.push(Why { stage: Some(stage), items, example: None, reason, workers: Vec::new() });
    }
    let short = job.gathering(at).map_or(0, |gathering| gathering.counts().short);
    if short > 0 {
        groups.push(Why {
            stage: Some(stage),
            items: short,
            example: None,
            reason: Reason::Short,
            workers: Vec::new(),
        });
    }
}

/// What of a stage waits for a worker, by what of the worker.
pub(super) fn classes<'a>(job: &'a Job, at: usize, found: &Waiting) -> Vec<(Items<'a>, Few)> {
    let class = |wish: Wish| move |(growths, few): (usize, &Few)| (Items { job, at, growths, wish }, *few);
    let anywhere = found.anywhere.iter().enumerate().map(class(Wish::Anybody));
    anywhere.chain(found.elsewhere.iter().enumerate().map(class(Wish::Another))).collect()
}

fn explain_class(state: &State, items: Items<'_>, found: &Waiting) -> (Reason, Vec<Hindered>) {
    let Items { job, at, .. } = items;
    if state.queues.room(job, at) == 0 {
        let most = job.spec(at).map_or(0, |spec| spec.max_parallel);
        return (Reason::MaxParallel { most }, Vec::new());
    }
    let workers = hindered(state, items);
    let reason = match reason(&workers) {
        Reason::Elsewhere { .. } => Reason::Elsewhere { until_ms: unix_ms(state, found.patience_ends_ms) },
        Reason::NoSlots | Reason::NoRoom if workers.iter().any(|hindered| hindered.by == Hurdle::Failed) => {
            Reason::Elsewhere { until_ms: unix_ms(state, found.patience_ends_ms) }
        }
        full @ (Reason::NoSlots | Reason::NoRoom) => {
            let is_full = |by: &Hurdle| matches!(by, Hurdle::Slots | Hurdle::Room(_));
            let full_ones = workers.iter().filter(|hindered| is_full(&hindered.by));
            let ids: Vec<WorkerId> = full_ones.flat_map(|hindered| hindered.some.iter().map(|(id, _)| *id)).collect();
            rivals(state, items, &ids).unwrap_or(full)
        }
        other => other,
    };
    (reason, workers)
}

/// Why items that were never begun may not be yet.
fn why_closed(job: &Job, at: usize, queue: &Queue) -> Reason {
    if job.ready_bound(at) < job.bound(at) {
        Reason::PutBack
    } else if queue.is_crowded() {
        Reason::Crowded { pausing: queue.waiting() }
    } else {
        Reason::Canary { first: job.spec(at).map_or(0, |spec| spec.canary) }
    }
}

/// Why items of the stage are not there yet that may come, and how many groups of a gather that is about.
fn comes_later(job: &Job, at: usize) -> Option<(Reason, u64)> {
    if job.is_final(at) {
        return None;
    }
    let left = |before: usize| {
        let ended = job.stage(before).map_or(0, Stage::ended);
        job.items(before).saturating_sub(ended)
    };
    let before = (0..at).rev().find(|before| left(*before) > 0)?;
    let groups = job.gathering(at).map_or(0, |gathering| {
        let counts = gathering.counts();
        gathering.len().saturating_sub(counts.there + counts.short)
    });
    if job.gathering(at).is_some() && groups == 0 {
        return None;
    }
    Some((Reason::Stage { stage: u16::try_from(before).ok()?, left: left(before) }, groups))
}

/// What is explained alike is one group.
fn put(groups: &mut Vec<Why>, why: Why) {
    let are_alike =
        |known: &&mut Why| known.stage == why.stage && known.reason == why.reason && known.workers == why.workers;
    match groups.iter_mut().find(are_alike) {
        Some(known) => {
            known.items += why.items;
            known.example = known.example.or(why.example);
        }
        None => groups.push(why),
    }
}
