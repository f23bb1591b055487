//! A worker is gone: what it held is to run elsewhere, and what it kept is to be placed elsewhere.

use std::collections::BTreeMap;

use super::suspects::Silent;
use crate::{
    attempts::{
        Fall, LostOn,
        blame::{suspect, suspect_later},
    },
    ids::{Incarnation, ItemKey, JobId, Now, WorkerId},
    outbox::{Notice, Outbox},
    record::Record,
    state::State,
};

/// How a worker went away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// It said so, and runs nothing any more.
    Goodbye,
    /// It has ended, and was started again.
    Restart,
    /// Another life took its place, which does not show that it has ended: with its machine, if at all.
    Takeover,
    /// Its lease ran out: it may be cut off, stopped, or down.
    Silence,
}

/// The worker is gone. Those of its attempts that were likely running are suspects when it went down; whether it did, a
/// silent worker only shows when it comes back.
pub(super) fn lose(state: &mut State, now: Now, worker: WorkerId, loss: Loss, out: &mut Outbox) {
    // First of all, so that no order that follows from its loss is addressed to it: not before its next welcome.
    let Some(gone) = state.fleet.leave(worker) else {
        return;
    };
    state.queues.missing.forget_worker(worker);
    let slots = gone.slots as usize;
    let alone = gone.held.len().min(slots) == 1;
    let mut running = Vec::new();
    let mut had: BTreeMap<JobId, u64> = BTreeMap::new();
    for (nth, (id, item)) in gone.held.into_iter().enumerate() {
        if !state.release(item, id) {
            continue;
        }
        *had.entry(item.job).or_default() += 1;
        out.notice_job(item.job);
        let ran = nth < slots;
        if ran {
            running.push(item);
        }
        let fall = Fall { alone, proven: loss == Loss::Restart, others: has_others(state, worker, &item) };
        if loss == Loss::Restart && ran {
            suspect(state, now, item, LostOn::new(worker, &gone.name), fall, out);
            continue;
        }
        if loss == Loss::Takeover && ran && alone {
            suspect_later(state, item, LostOn::new(worker, &gone.name), fall, out);
        }
        state.queues.give_back(&item);
    }
    if loss != Loss::Goodbye {
        let lost = |(job, items)| Notice::Lost { job, worker: gone.name.clone(), items };
        out.notices.extend(had.into_iter().map(lost));
    }
    if loss == Loss::Silence {
        let (incarnation, name) = (gone.incarnation, gone.name);
        state.suspects.remember(worker, Silent { incarnation, name, running });
    }
    state.keep(Record::WorkerGone(worker), out);
    out.notices.extend(state.placement.lose(worker).into_iter().map(Notice::Service));
}

/// A worker that had fallen silent is back in this life: what ran on it is looked at again.
pub(super) fn look_back(
    state: &mut State,
    worker: WorkerId,
    (incarnation, previous): (Incarnation, Option<Incarnation>),
    out: &mut Outbox,
) {
    let Some(silent) = state.suspects.back(worker, incarnation) else {
        return;
    };
    let proven = previous == Some(silent.incarnation);
    let alone = silent.running.len() == 1;
    for item in silent.running.into_iter().filter(|_| proven || alone) {
        let fall = Fall { alone, proven, others: has_others(state, worker, &item) };
        suspect_later(state, item, LostOn::new(worker, &silent.name), fall, out);
    }
}

/// Whether another worker may be given the item, or is expected back.
fn has_others(state: &State, worker: WorkerId, item: &ItemKey) -> bool {
    let Some(job) = state.ledger.job(item.job) else {
        return false;
    };
    let namespace = &job.record.namespace;
    let needs = job.needs_of(item).map(|needs| &**needs);
    let is_other = |other: WorkerId| other != worker;
    state.fleet.workers().any(|(other, _)| is_other(other) && state.fleet.may_have(other, namespace, needs))
        || state.reunion.misses(|other| is_other(other) && state.ledger.clientele(other).has(namespace))
}
