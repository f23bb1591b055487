//! A client wants a job to run by other terms.

use super::control::Change;
use crate::{
    ids::JobId,
    outbox::{Outbox, Refusal, Reply},
    record::Record,
    state::State,
};

/// What changes holds for what is given out from now on; what runs goes on. An ended job has them when it is retried.
pub(crate) fn change(state: &mut State, id: JobId, change: &Change, out: &mut Outbox) -> Reply {
    let Some(job) = state.ledger.job(id) else {
        return Reply::Refused(Refusal::NoSuchJob(id));
    };
    let mut record = job.record.clone();
    if let Some(priority) = change.priority {
        record.spec.priority = priority;
    }
    for (stage, most) in &change.max_parallel {
        match record.spec.stages.get_mut(usize::from(*stage)) {
            Some(spec) => spec.max_parallel = *most,
            None => return Reply::Refused(Refusal::NoSuchStage { job: id, stage: *stage }),
        }
    }
    if job.record.spec != record.spec {
        state.keep(Record::Job(record), out);
        state.queues.touch(id);
        out.notice_job(id);
    }
    Reply::Done
}
