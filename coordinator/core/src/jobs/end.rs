//! The end of a job: by its last item, or because somebody asked.

use std::collections::BTreeMap;

use crate::{
    ids::{AttemptId, JobId, Now, WorkerId},
    jobs::state::JobState,
    outbox::{Notice, Order, Outbox},
    record::Record,
    state::State,
};

/// Ends the job if nothing of it is left to run.
pub(crate) fn end_if_spent(state: &mut State, now: Now, id: JobId, out: &mut Outbox) {
    let Some(job) = state.ledger.job(id) else {
        return;
    };
    if !job.record.state.has_ended() && job.is_spent() {
        let end = if job.failed() == 0 { JobState::Succeeded } else { JobState::Failed };
        end_job(state, now, id, end, String::new(), out);
    }
}

/// Ends the job in that state: what of it runs is stopped, and workers are told to forget it.
pub(crate) fn end_job(state: &mut State, now: Now, id: JobId, end: JobState, reason: String, out: &mut Outbox) {
    let Some(job) = state.ledger.job(id) else {
        return;
    };
    let mut record = job.record.clone();
    record.state = end;
    record.reason = reason;
    record.ended_ms = now.wall_ms;
    state.keep(Record::Job(record), out);
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
