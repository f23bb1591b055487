//! A client wants a job.

use crate::{
    ids::RequestId,
    outbox::{Notice, Outbox, Reply},
    record::{JobRecord, Record},
    state::State,
};

/// Keeps the job, unless its key has made one already.
pub(crate) fn submit(state: &mut State, request: RequestId, record: JobRecord, out: &mut Outbox) {
    if let Some(job) = state.ledger.job_of_key(&record.namespace, &record.key) {
        out.replies.push((request, Reply::Submitted { job, existed: true }));
        return;
    }
    let job = record.id;
    state.queues.open(job, record.spec.stages.len());
    state.keep(Record::Job(record), out);
    out.replies.push((request, Reply::Submitted { job, existed: false }));
    out.notices.push(Notice::Job(job));
}
