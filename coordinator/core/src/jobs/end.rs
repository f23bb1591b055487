//! The end of a job: by its last item, or because somebody asked.

use std::collections::BTreeMap;

use crate::{
    fault::FaultClass,
    ids::{AttemptId, JobId, Now, WorkerId},
    jobs::{
        after::tell_waiters,
        cut::{Breaker, Cut},
        job::Job,
        pause::ask_back_all,
        state::JobState,
    },
    outbox::{Notice, Order, Outbox},
    record::{JobRecord, Record},
    schedule::Queue,
    stages::StageSpec,
    state::State,
};

/// Ends the job if nothing of it is left to run, or if it has come to what ends it before.
pub(crate) fn end_if_spent(state: &mut State, now: Now, id: JobId, out: &mut Outbox) {
    let Some(job) = state.ledger.job(id).filter(|job| !job.record.state.has_ended()) else {
        return;
    };
    if job.is_spent() {
        let end = if job.failed() == 0 { JobState::Succeeded } else { JobState::Failed };
        end_job(state, now, id, end, String::new(), out);
    } else if job.record.cut.is_none()
        && let Some(why) = reason_to_cut(state, job)
    {
        cut(state, now, id, why, out);
    }
}

/// What the items that have ended say against going on.
fn reason_to_cut(state: &State, job: &Job) -> Option<Cut> {
    let failed = job.failed();
    if job.record.retried.as_ref().is_some_and(|retried| retried.next.is_some()) {
        // Some of those that have failed are still to be put back.
        return None;
    }
    if failed == 0 && !job.record.spec.stages.iter().any(|spec| spec.attempts > 1) {
        return None;
    }
    for (at, stage) in (0_u16..).zip(job.stages()) {
        let (spec, counts) = (job.spec(at.into())?, (stage.failed(), job.items(at.into())));
        if job.record.spec.halt.is_some_and(|halt| halt.at.is_reached(counts, failed)) {
            return Some(Cut::Halt);
        }
        // Only those have ended by then.
        if stage.failed() > 0 && stage.ended() <= u64::from(spec.canary) {
            return Some(Cut::Canary { stage: at });
        }
        let alike = state.queues.of(job.record.id, at.into()).and_then(Queue::failing_alike);
        if alike.is_some_and(|class| opens(spec, class))
            && (stage.succeeded() + stage.filtered()) * 100 < stage.ended().max(1)
        {
            return Some(Cut::Breaker { stage: at });
        }
    }
    None
}

/// Whether a stage in which everything fails in that way ends its job.
fn opens(spec: &StageSpec, class: FaultClass) -> bool {
    match spec.breaker {
        Breaker::On => true,
        Breaker::Off => false,
        Breaker::Auto => spec.attempts > 1 || matches!(class, FaultClass::Image | FaultClass::Command),
    }
}

/// Ends the job for that, at once or when nothing of it runs any more. If it is to end already, that stays the reason.
pub(crate) fn cut(state: &mut State, now: Now, id: JobId, why: Cut, out: &mut Outbox) {
    let Some(job) = state.ledger.job(id).filter(|job| !job.record.state.has_ended()) else {
        return;
    };
    let at_once = match why {
        Cut::Deadline => true,
        Cut::Halt => job.record.spec.halt.is_some_and(|halt| halt.now),
        Cut::QueueTimeout | Cut::Canary { .. } | Cut::Breaker { .. } | Cut::Image { .. } => false,
    };
    let is_first = job.record.cut.is_none();
    if is_first {
        state.keep(Record::Job(JobRecord { cut: Some(why), ..job.record.clone() }), out);
        state.queues.touch(id);
        out.notice_job(id);
    }
    if at_once {
        end_job(state, now, id, JobState::Failed, String::new(), out);
    } else if is_first {
        ask_back_all(state, id, out);
        state.cuts.set_ending(id);
    }
}

/// Ends the jobs that give out nothing any more and of which nothing runs. Workers that may run some of it are waited for.
pub(crate) fn end_cut(state: &mut State, now: Now, out: &mut Outbox) {
    if state.cuts.nothing_is_ending() || state.reunion.is_on(now) {
        return;
    }
    for id in state.cuts.ending() {
        if !state.queues.runs(id) {
            end_job(state, now, id, JobState::Failed, String::new(), out);
        }
    }
}

/// Ends the jobs whose deadline is over.
pub(crate) fn end_overdue(state: &mut State, now: Now, out: &mut Outbox) {
    while let Some(id) = state.cuts.overdue(now) {
        cut(state, now, id, Cut::Deadline, out);
        state.cuts.forget(id);
    }
}

/// Ends the job in that state: what of it runs is stopped, and workers are told to forget it. Jobs that waited for it go on, or end
/// too.
pub(crate) fn end_job(state: &mut State, now: Now, id: JobId, end: JobState, reason: String, out: &mut Outbox) {
    end_one(state, now, id, end, reason, out);
    let mut ended = vec![(id, end)];
    while let Some((id, end)) = ended.pop() {
        let how = if end == JobState::Cancelled { "was cancelled" } else { "has failed" };
        for waiter in tell_waiters(state, id, end.went_well(), out) {
            let reason = format!("job {id}, after which it was to run, {how}");
            end_one(state, now, waiter, JobState::Cancelled, reason, out);
            ended.push((waiter, JobState::Cancelled));
        }
    }
}

fn end_one(state: &mut State, now: Now, id: JobId, end: JobState, reason: String, out: &mut Outbox) {
    let Some(job) = state.ledger.job(id) else {
        return;
    };
    let mut record = job.record.clone();
    state.waiters.remove(&record);
    state.chores.done(id);
    record.state = end;
    record.reason = reason;
    record.ended_ms = now.wall_ms;
    record.paused = None;
    record.awaits = Vec::new();
    record.retried = None;
    state.keep(Record::Job(record), out);
    state.cuts.forget(id);
    stop_attempts(state, id, out);
    out.notices.push(Notice::Job(id));
    for worker in state.fleet.connected() {
        out.orders.push(Order::ForgetJob { worker, job: id });
    }
}

fn stop_attempts(state: &mut State, id: JobId, out: &mut Outbox) {
    let mut stops: BTreeMap<WorkerId, Vec<AttemptId>> = BTreeMap::new();
    for attempt in state.queues.close(id) {
        let Some(worker) = state.fleet.holder(attempt) else {
            continue;
        };
        state.fleet.take(attempt, worker);
        stops.entry(worker).or_default().push(attempt);
    }
    out.orders.extend(stops.into_iter().map(|(worker, ids)| Order::Stop { worker, ids }));
}
