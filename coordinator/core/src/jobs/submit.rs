//! A client wants a job.

use super::{after::awaits, meaning::Differs};
use crate::{
    ids::{Now, RequestId},
    outbox::{Notice, Outbox, Refusal, Reply},
    record::{GroupsRecord, JobRecord, Record},
    stages::Run,
    state::State,
};

/// For stages that gather by groups, in order: which inputs are of which.
type Groups = [(u16, Vec<Run>)];

/// Keeps the job and which groups its inputs are of, unless its key has made one already. The same work under that key is answered
/// with that one; other work is refused.
pub(crate) fn submit(
    state: &mut State,
    now: Now,
    request: RequestId,
    (record, groups): (JobRecord, &Groups),
    out: &mut Outbox,
) {
    let reply = known(state, now, &record).unwrap_or_else(|| keep(state, now, record, groups, out));
    out.replies.push((request, reply));
}

/// The answer to a submission whose key is not free.
fn known(state: &State, now: Now, record: &JobRecord) -> Option<Reply> {
    if let Some(job) = state.ledger.job_of_key(&record.namespace, &record.key) {
        let differs = state.ledger.job(job).and_then(|known| differs(&known.record, record));
        return Some(match differs {
            None => Reply::Submitted { job, existed: true },
            Some(differs) => Reply::Refused(Refusal::KeyIsTaken { job, differs }),
        });
    }
    let removed = state.ledger.removed_of_key(&record.namespace, &record.key)?;
    let (job, until_ms) = (removed.job, removed.until_ms);
    (now.wall_ms < until_ms).then_some(Reply::Refused(Refusal::KeyOfRemoved { job, until_ms }))
}

fn keep(state: &mut State, now: Now, mut record: JobRecord, groups: &Groups, out: &mut Outbox) -> Reply {
    if let Some(refusal) = fits_nowhere(state, &record) {
        return Reply::Refused(refusal);
    }
    match awaits(&state.ledger, &record) {
        Ok(awaits) => record.awaits = awaits,
        Err(refusal) => return Reply::Refused(refusal),
    }
    if let Some(free) = state.ledger.removed_of_key(&record.namespace, &record.key).map(|removed| removed.job) {
        state.keep(Record::TombstoneGone(free), out);
    }
    let job = record.id;
    state.cuts.watch(&record, now);
    state.queues.open(job, &record.namespace, &record.spec.stages);
    state.waiters.add(&record);
    state.keep(Record::Job(record), out);
    for (stage, runs) in groups {
        for record in GroupsRecord::of_runs(job, *stage, runs) {
            state.keep(Record::Groups(record), out);
        }
    }
    out.notices.push(Notice::Job(job));
    Reply::Submitted { job, existed: false }
}

/// The first stage that nobody could ever run of all who are here; nobody may be, or be expected back, then it waits.
fn fits_nowhere(state: &State, record: &JobRecord) -> Option<Refusal> {
    let namespace = &record.namespace;
    if state.reunion.misses(|worker| state.ledger.clientele(worker).has(namespace)) {
        return None;
    }
    let mut stages = (0..).zip(&record.spec.stages).filter(|(_, spec)| spec.needs.is_some());
    stages.find_map(|(stage, spec)| {
        let (worker, lack) = state.fleet.nearest(namespace, spec.needs.as_deref())?;
        let worker = worker.to_owned();
        Some(Refusal::FitsNowhere { stage, worker, lack: Box::new(lack?) })
    })
}

/// How the submissions of these jobs are different, if they are.
fn differs(one: &JobRecord, other: &JobRecord) -> Option<Differs> {
    let (Some(mine), Some(its)) = (&one.meaning, &other.meaning) else {
        return (one.detail != other.detail).then_some(Differs::Somehow);
    };
    match (mine.spec == its.spec, mine.inputs == its.inputs) {
        (true, true) => None,
        (false, true) => Some(Differs::Spec),
        (true, false) => Some(Differs::Inputs),
        (false, false) => Some(Differs::Both),
    }
}
