//! A client wants an ended job to be gone.
//!
//! The job is gone for everybody at once; what is kept of it goes in slices, so that nothing waits for that. Its key stays for a
//! day.

use super::{control::Going, end::end_job, state::JobState};
use crate::{
    ids::{JobId, Now},
    outbox::{Notice, Outbox, Refusal, Reply},
    record::{ItemsGone, JobRecord, Record, TombstoneRecord},
    state::State,
};

/// How long a key outlives its job, milliseconds.
const KEY_MS: u64 = 24 * 3_600_000;

/// Keys of removed jobs that are known at most, some 20 MiB. Where more are removed within a day, the oldest go.
const TOMBSTONES: usize = 100_000;

/// Removes the job, if it has ended or `force` ends it.
pub(crate) fn remove(state: &mut State, now: Now, id: JobId, force: bool, out: &mut Outbox) -> Reply {
    match state.ledger.job(id) {
        None if state.ledger.is_going(id) || state.ledger.tombstone(id).is_some() => return Reply::Done,
        None => return Reply::Refused(Refusal::NoSuchJob(id)),
        Some(job) if job.record.state.has_ended() => {}
        Some(_) if !force => return Reply::Refused(Refusal::JobIsRunning(id)),
        Some(_) => end_job(state, now, id, JobState::Cancelled, "removed".to_owned(), out),
    }
    let Some(job) = state.ledger.job(id) else {
        return Reply::Refused(Refusal::NoSuchJob(id));
    };
    let items = (0..job.stage_count()).map(|at| job.extent(at)).collect();
    let mut record = job.record.clone();
    bury(state, now, &record, out);
    // What is left of it says what is to go.
    record.state = JobState::Removing;
    record.going = Some(Box::new(Going { stage: 0, index: 0, items }));
    record.key = String::new();
    record.spec.name = String::new();
    record.reason = String::new();
    record.spec.stages.truncate(1);
    record.spec.after = Vec::new();
    record.spec.after_any = Vec::new();
    state.keep(Record::Job(record), out);
    state.chores.add(id);
    out.notices.push(Notice::Job(id));
    slice(state, id, out);
    Reply::Done
}

/// Keeps the key for a while.
fn bury(state: &mut State, now: Now, record: &JobRecord, out: &mut Outbox) {
    if record.key.is_empty() {
        return;
    }
    if state.ledger.tombstones() >= TOMBSTONES
        && let Some((_, oldest)) = state.ledger.oldest_tombstone()
    {
        state.keep(Record::TombstoneGone(oldest), out);
    }
    let JobRecord { id, namespace, key, meaning, .. } = record.clone();
    let until_ms = now.wall_ms.saturating_add(KEY_MS);
    state.keep(Record::Tombstone(TombstoneRecord { job: id, namespace, key, meaning, until_ms }), out);
}

/// Some more of what is kept of a job that is going.
pub(crate) fn slice(state: &mut State, id: JobId, out: &mut Outbox) {
    let Some(mut record) = state.ledger.going(id).cloned() else { return };
    let Some(going) = &mut record.going else { return };
    let mut left = state.settings.slice;
    while left > 0
        && let Some(items) = going.items.get(usize::from(going.stage)).copied()
    {
        let to = items.min(going.index.saturating_add(left));
        if going.index < to {
            let (stage, from) = (going.stage, going.index);
            state.keep(Record::ItemsGone(ItemsGone { job: id, stage, from, to }), out);
            left -= to - from;
            going.index = to;
        }
        if to == items {
            going.stage += 1;
            going.index = 0;
        }
    }
    let stages = u16::try_from(going.items.len()).unwrap_or(u16::MAX);
    if going.stage < stages {
        state.keep(Record::Job(record), out);
        return;
    }
    state.keep(Record::JobGone { job: id, stages }, out);
    state.chores.done(id);
}

/// Keys that are free by now are forgotten, some at a time.
pub(crate) fn free_keys(state: &mut State, now: Now, out: &mut Outbox) {
    for _ in 0..state.settings.slice {
        match state.ledger.oldest_tombstone() {
            Some((until_ms, job)) if until_ms <= now.wall_ms => state.keep(Record::TombstoneGone(job), out),
            _ => return,
        }
    }
}
