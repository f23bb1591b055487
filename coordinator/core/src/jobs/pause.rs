//! A client wants a job to rest, and to go on.

use std::collections::BTreeMap;

use super::control::{Pause, PausedBy};
use crate::{
    ids::{AttemptId, JobId, Now, WorkerId},
    outbox::{Order, Outbox, Refusal, Reply},
    record::Record,
    state::State,
};

/// Nothing more of the job is given out. What workers have not begun comes back; what runs goes on, or is stopped where that is
/// wanted, and counts for nothing.
pub(crate) fn pause(state: &mut State, now: Now, id: JobId, (why, stop): (String, bool), out: &mut Outbox) -> Reply {
    let record = match state.ledger.job(id) {
        None => return Reply::Refused(Refusal::NoSuchJob(id)),
        Some(job) if job.record.state.has_ended() => return Reply::Refused(Refusal::JobHasEnded(id)),
        Some(job) => &job.record,
    };
    let pause = match &record.paused {
        Some(paused) => Pause { stop: paused.stop || stop, ..Pause::clone(paused) },
        None => Pause { by: PausedBy::Person, why, since_ms: now.wall_ms, stop },
    };
    rest(state, id, pause, out);
    Reply::Done
}

/// As [`pause`], of a job that has not ended, whoever wants it.
pub(crate) fn rest(state: &mut State, id: JobId, pause: Pause, out: &mut Outbox) {
    let Some(job) = state.ledger.job(id) else { return };
    let stop = pause.stop;
    if job.record.paused.as_deref() != Some(&pause) {
        let mut record = job.record.clone();
        record.paused = Some(Box::new(pause));
        state.keep(Record::Job(record), out);
        out.notice_job(id);
    }
    if stop {
        stop_all(state, id, out);
    } else {
        ask_back_all(state, id, out);
    }
    state.queues.touch(id);
}

/// Everything of the job that is under way is stopped, and is to be run anew.
fn stop_all(state: &mut State, id: JobId, out: &mut Outbox) {
    let mut stops: BTreeMap<WorkerId, Vec<AttemptId>> = BTreeMap::new();
    for attempt in state.queues.live_attempts(id) {
        let Some(worker) = state.fleet.holder(attempt) else { continue };
        if let Some(item) = state.fleet.take(attempt, worker)
            && state.release(item, attempt)
        {
            state.queues.give_back(&item);
        }
        stops.entry(worker).or_default().push(attempt);
    }
    out.orders.extend(stops.into_iter().map(|(worker, ids)| Order::Stop { worker, ids }));
}

/// What of the job waits on workers behind something else is to come back.
pub(crate) fn ask_back_all(state: &mut State, id: JobId, out: &mut Outbox) {
    let attempts = state.queues.live_attempts(id).into_iter();
    let queued = attempts.filter(|attempt| state.fleet.is_queued(*attempt));
    let queued: Vec<AttemptId> = queued.filter(|attempt| state.fleet.not_asked_back(*attempt).is_some()).collect();
    let mut asked: BTreeMap<WorkerId, Vec<AttemptId>> = BTreeMap::new();
    for attempt in queued {
        if let Some(worker) = state.fleet.holder(attempt) {
            state.fleet.ask_back(attempt);
            asked.entry(worker).or_default().push(attempt);
        }
    }
    out.orders.extend(asked.into_iter().map(|(worker, ids)| Order::Return { worker, ids }));
}

/// The job's items are given out again.
pub(crate) fn resume(state: &mut State, id: JobId, out: &mut Outbox) -> Reply {
    let mut record = match state.ledger.job(id) {
        None => return Reply::Refused(Refusal::NoSuchJob(id)),
        Some(job) if job.record.state.has_ended() => return Reply::Refused(Refusal::JobHasEnded(id)),
        Some(job) if job.record.paused.is_none() => return Reply::Done,
        Some(job) => job.record.clone(),
    };
    record.paused = None;
    state.keep(Record::Job(record), out);
    state.queues.touch(id);
    out.notice_job(id);
    Reply::Done
}
