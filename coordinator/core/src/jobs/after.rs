//! Jobs that are to run after others. Those have to be there when it is submitted, so nothing ever waits for itself.

use crate::{
    ids::{JobId, Namespace},
    ledger::Ledger,
    outbox::{Outbox, Refusal},
    record::{JobRecord, Record},
    state::State,
};

/// The jobs that one with this record has to wait for.
///
/// # Errors
/// One of them is not there, or has ended otherwise than it should.
pub(super) fn awaits(ledger: &Ledger, record: &JobRecord) -> Result<Vec<JobId>, Refusal> {
    let mut awaits = Vec::new();
    for (other, any) in all(record) {
        let job = ledger.job(other).filter(|job| is_of(&job.record.namespace, record));
        let state = job.ok_or(Refusal::NoSuchJob(other))?.record.state;
        if !state.has_ended() {
            awaits.push(other);
        } else if !any && !state.went_well() {
            return Err(Refusal::AfterEndedBadly(other));
        }
    }
    awaits.sort_unstable();
    awaits.dedup();
    Ok(awaits)
}

/// The same for one that is retried: what has ended, however, is not waited for.
pub(super) fn still_awaits(ledger: &Ledger, record: &JobRecord) -> Vec<JobId> {
    let runs = |id: &JobId| ledger.job(*id).is_some_and(|job| !job.record.state.has_ended());
    let mut awaits: Vec<JobId> = all(record).map(|(id, _)| id).filter(runs).collect();
    awaits.sort_unstable();
    awaits.dedup();
    awaits
}

fn all(record: &JobRecord) -> impl Iterator<Item = (JobId, bool)> + '_ {
    let any = record.spec.after_any.iter().map(|id| (*id, true));
    record.spec.after.iter().map(|id| (*id, false)).chain(any)
}

fn is_of(namespace: &Namespace, record: &JobRecord) -> bool {
    *namespace == record.namespace
}

/// The job has ended: those that waited for it go on, but for those, which are answered, that can never run.
pub(super) fn tell_waiters(state: &mut State, job: JobId, well: bool, out: &mut Outbox) -> Vec<JobId> {
    let mut hopeless = Vec::new();
    for waiter in state.waiters.take(job) {
        let Some(record) = state.ledger.job(waiter).map(|waiter| &waiter.record) else {
            continue;
        };
        let mut record = record.clone();
        record.awaits.retain(|other| *other != job);
        if !well && record.spec.after.contains(&job) {
            hopeless.push(waiter);
        }
        state.queues.touch(waiter);
        state.keep(Record::Job(record), out);
        out.notice_job(waiter);
    }
    hopeless
}
