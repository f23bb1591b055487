//! A client wants an ended job to go on: its failed items, and those that had not ended.
//!
//! Failed items are put back in slices, so that nothing waits for many. Until the last has been, no further stage is taken for
//! complete.

use super::{
    Job, after,
    control::{Only, Retried},
    withdraw::put_back,
};
use crate::{
    chores::LOOK,
    ids::{ItemKey, JobId, Now, RequestId},
    jobs::end::end_if_spent,
    outbox::{Notice, Outbox, Refusal, Reply},
    record::Record,
    stages::{ItemState, Stage},
    state::State,
};

/// Makes failed items pending, or some of them, and the job running again. Of a job that goes on since it was retried, the same
/// answer.
pub(crate) fn retry(
    state: &mut State,
    now: Now,
    request: RequestId,
    (id, only): (JobId, Option<Only>),
    out: &mut Outbox,
) {
    let reply = match state.ledger.job(id) {
        None => Reply::Refused(Refusal::NoSuchJob(id)),
        Some(job) if !job.record.state.has_ended() => match job.record.retried.as_deref() {
            Some(&Retried { failed, unended, .. }) => Reply::Retried { failed, unended },
            None => Reply::Refused(Refusal::JobIsRunning(id)),
        },
        Some(job) => match (only, failed_of(job, only)) {
            (Some(Only { stage, .. }), _) if job.stage(stage.into()).is_none() => {
                Reply::Refused(Refusal::NoSuchStage { job: id, stage })
            }
            (None, 0) if job.was_cut_short() => reopen(state, now, (id, only), out),
            (_, 0) => Reply::Refused(Refusal::NothingFailed(id)),
            _ => reopen(state, now, (id, only), out),
        },
    };
    out.replies.push((request, reply));
}

/// How many of these items have failed.
fn failed_of(job: &Job, only: Option<Only>) -> u64 {
    match only {
        None => job.failed(),
        Some(Only { stage, index: None }) => job.stage(stage.into()).map_or(0, Stage::failed),
        Some(Only { stage, index: Some(index) }) => {
            let item = ItemKey { job: job.record.id, stage, index };
            u64::from(job.state(&item) == Some(ItemState::Failed))
        }
    }
}

/// The job runs again.
fn reopen(state: &mut State, now: Now, (id, only): (JobId, Option<Only>), out: &mut Outbox) -> Reply {
    let Some(job) = state.ledger.job(id) else {
        return Reply::Refused(Refusal::NoSuchJob(id));
    };
    let (failed, unended) = (failed_of(job, only), job.unended());
    let (first, until) = only.map_or(((0, 0), None), |only| (only.range().0, Some(only.range().1)));
    let mut record = job.record.clone().reopened(now);
    state.cuts.watch(&record, now);
    record.awaits = after::still_awaits(&state.ledger, &record);
    record.retried = Some(Box::new(Retried { failed, unended, next: Some(first), until }));
    state.queues.open(id, &record.namespace, &record.spec.stages);
    state.waiters.add(&record);
    state.keep(Record::Job(record), out);
    state.chores.add(id);
    out.notices.push(Notice::Job(id));
    slice(state, now, id, out);
    Reply::Retried { failed, unended }
}

/// Puts some more failed items of a job back.
pub(crate) fn slice(state: &mut State, now: Now, id: JobId, out: &mut Outbox) {
    let Some(job) = state.ledger.job(id) else { return };
    let Some(&Retried { next: Some(mut next), until, .. }) = job.record.retried.as_deref() else { return };
    let (mut found, mut looked) = (Vec::new(), 0);
    let mut behind = false;
    while (found.len() as u64) < state.settings.slice && looked < LOOK {
        let is_last = until.is_some_and(|until| next >= until);
        let Some(stage) = job.stage(next.0.into()).filter(|_| !is_last) else {
            behind = true;
            break;
        };
        let room = stage.room();
        match stage.failed_in(next.1..room.min(next.1.saturating_add(LOOK - looked))) {
            Some(index) => {
                looked += index - next.1 + 1;
                found.push(ItemKey { job: id, stage: next.0, index });
                next.1 = index + 1;
            }
            None if room.saturating_sub(next.1) <= LOOK - looked => {
                looked += room.saturating_sub(next.1);
                next = (next.0 + 1, 0);
            }
            None => {
                next.1 += LOOK - looked;
                looked = LOOK;
            }
        }
    }
    let mut record = job.record.clone();
    if let Some(retried) = &mut record.retried {
        retried.next = (!behind).then_some(next);
    }
    put_back(state, id, found, out);
    state.keep(Record::Job(record), out);
    state.queues.touch(id);
    out.notice_job(id);
    if behind {
        state.chores.done(id);
        end_if_spent(state, now, id, out);
    }
}
