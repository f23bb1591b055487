//! A client wants a job to end.

use super::{end::end_job, state::JobState};
use crate::{
    ids::{JobId, Now, RequestId},
    outbox::{Outbox, Refusal, Reply},
    state::State,
};

/// Ends the job as cancelled, unless it was already. Nothing of it commits afterwards.
pub(crate) fn cancel(state: &mut State, now: Now, request: RequestId, id: JobId, reason: String, out: &mut Outbox) {
    let reply = match state.ledger.job(id) {
        None => Reply::Refused(Refusal::NoSuchJob(id)),
        Some(job) if job.record.state == JobState::Cancelled => Reply::Cancelled,
        Some(job) if job.record.state.has_ended() => Reply::Refused(Refusal::JobHasEnded(id)),
        Some(_) => {
            end_job(state, now, id, JobState::Cancelled, reason, out);
            Reply::Cancelled
        }
    };
    out.replies.push((request, reply));
}
