//! Jobs that wait for too long: something of them could be given out, and nobody takes any of it.

use super::{cut::Cut, end::cut};
use crate::{
    ids::{JobId, Now},
    outbox::Outbox,
    state::State,
};

/// Whatever has changed of a job, or has run, begins its patience anew.
pub(crate) fn begin_anew(state: &mut State, now: Now) {
    for id in state.cuts.begin_anew() {
        if let Some(job) = state.ledger.job(id).filter(|job| !job.record.state.has_ended()) {
            state.cuts.set_patience(id, now.steady_ms.saturating_add(job.record.spec.queue_timeout_ms));
        }
    }
}

/// Ends the jobs of which nothing ran all the while, though it could have.
pub(crate) fn end_impatient(state: &mut State, now: Now, out: &mut Outbox) {
    while let Some(id) = state.cuts.impatient(now) {
        if waits(state, now, id) {
            cut(state, now, id, Cut::QueueTimeout, out);
        } else if let Some(job) = state.ledger.job(id) {
            let patience_ms = job.record.spec.queue_timeout_ms.max(1);
            state.cuts.set_patience(id, now.steady_ms.saturating_add(patience_ms));
        } else {
            state.cuts.forget(id);
        }
    }
}

/// Whether something of the job waits to be given out, and nothing of it runs: not what waits for a pause, or for another job, to end.
fn waits(state: &State, now: Now, id: JobId) -> bool {
    let Some(job) = state.ledger.job(id) else { return false };
    job.record.may_dispatch() && !state.reunion.is_on(now) && !state.queues.runs(id) && state.queues.has_pending(job)
}
