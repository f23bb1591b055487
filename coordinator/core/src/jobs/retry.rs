//! A client wants an ended job to go on: its failed items, and those that had not ended.

use crate::{
    ids::{ItemKey, JobId, RequestId},
    jobs::state::JobState,
    outbox::{Notice, Outbox, Refusal, Reply},
    record::{JobRecord, Record},
    state::State,
};

/// Makes failed items pending and the job running again.
pub(crate) fn retry(state: &mut State, request: RequestId, id: JobId, out: &mut Outbox) {
    let reply = match state.ledger.job(id) {
        None => Reply::Refused(Refusal::NoSuchJob(id)),
        Some(job) if !job.record.state.has_ended() => Reply::Refused(Refusal::JobIsRunning(id)),
        Some(job) if job.failed() == 0 && !job.record.state.was_cut_short() => {
            Reply::Refused(Refusal::NothingFailed(id))
        }
        Some(job) => {
            let (record, failed) = (job.record.clone(), job.failed_items().collect());
            Reply::Retried { items: reopen(state, record, failed, out) }
        }
    };
    out.replies.push((request, reply));
}

/// The job runs again; answers how many items had failed.
fn reopen(state: &mut State, mut record: JobRecord, failed: Vec<ItemKey>, out: &mut Outbox) -> u64 {
    let (id, items) = (record.id, failed.len() as u64);
    record.state = JobState::Running;
    record.ended_ms = 0;
    record.reason = String::new();
    state.queues.open(id, record.spec.stages.len());
    state.keep(Record::Job(record), out);
    for item in failed {
        state.keep(Record::OutcomeGone(item), out);
    }
    out.notices.push(Notice::Job(id));
    items
}
