//! An attempt has failed: whose fault it was decides between another try and the end of the item.

use super::{
    Fall, LostOn, Trouble,
    commit::{Ended, commit, give_up},
    pause::pause_ms,
};
use crate::{
    fault::{Blame, Fault, FaultClass},
    ids::{ItemKey, Now, WorkerId},
    jobs::end::end_if_spent,
    outbox::Outbox,
    stages::ItemState,
    state::State,
};

/// Decides between another try and the end.
pub(super) fn failed(
    state: &mut State,
    now: Now,
    (item, worker): (ItemKey, WorkerId),
    (blame, fault): (Blame, Fault),
    detail: Vec<u8>,
    out: &mut Outbox,
) {
    let mut trouble = trouble_of(state, &item);
    avoid(state, worker, &item);
    match blame {
        Blame::Item | Blame::Hopeless => trouble.failures += 1,
        Blame::Slot => trouble.losses.slot(lost_on(state, worker)),
        Blame::Infrastructure => trouble.mishaps += 1,
    }
    decide(state, now, item, (blame, fault), trouble, detail, out);
}

fn decide(
    state: &mut State,
    now: Now,
    item: ItemKey,
    (blame, fault): (Blame, Fault),
    mut trouble: Trouble,
    detail: Vec<u8>,
    out: &mut Outbox,
) {
    let Some(spec) = state.ledger.job(item.job).and_then(|job| job.spec(usize::from(item.stage))) else {
        return;
    };
    if spec.policy.filters(blame, &fault) {
        state.queues.note(&item, None);
        return commit(state, item, Ended::Filtered, detail, out);
    }
    let settings = state.settings;
    let (count, pauses) = match blame {
        Blame::Item | Blame::Hopeless => (trouble.failures, (spec.backoff_ms, spec.max_backoff_ms)),
        Blame::Slot => (trouble.losses.count(), settings.mishap_pause_ms),
        Blame::Infrastructure => (trouble.mishaps, settings.mishap_pause_ms),
    };
    let poison = trouble.losses.are_enough(spec.most_losses());
    let spent = trouble.failures >= spec.attempts || trouble.mishaps >= settings.mishaps;
    let allowed = spec.policy.allows(blame, &fault);
    state.queues.failed(&item);
    if matches!(blame, Blame::Item | Blame::Hopeless) {
        state.queues.note(&item, Some(&fault));
    }
    if poison {
        return give_up(state, item, &trouble, detail, out);
    }
    if spent || !allowed {
        let spared = !spent && blame == Blame::Item;
        let tries = trouble.tries();
        return commit(state, item, Ended::Failed { spared, tries }, detail, out);
    }
    if fault.class == FaultClass::OutOfMemory && blame == Blame::Item {
        trouble.growths = grown(state, &item, trouble.growths);
    }
    state.keep(trouble.record(item, detail), out);
    let due_ms = now.steady_ms.saturating_add(pause_ms(pauses, count, item.index));
    state.queues.pause(&item, due_ms);
}

/// A worker went away with this item running on it: that is no failure of the item's, and speaks against it only when
/// nothing else can have been the cause. There are no words of a worker to keep; an empty detail says just that.
pub(crate) fn suspect(state: &mut State, now: Now, item: ItemKey, on: LostOn, fall: Fall, out: &mut Outbox) {
    let mut trouble = trouble_of(state, &item);
    trouble.losses.worker(on, fall);
    let fault = Fault { class: FaultClass::Lost, ..Fault::default() };
    decide(state, now, item, (Blame::Slot, fault), trouble, Vec::new(), out);
    out.notice_job(item.job);
    end_if_spent(state, now, item.job, out);
}

/// As [`suspect`], for an item that runs elsewhere by now: only counted.
pub(crate) fn suspect_later(state: &mut State, item: ItemKey, on: LostOn, fall: Fall, out: &mut Outbox) {
    let Some(job) = state.ledger.job(item.job) else {
        return;
    };
    if job.state(&item) == Some(ItemState::Pending) && !job.record.state.has_ended() {
        let mut trouble = trouble_of(state, &item);
        trouble.losses.worker(on, fall);
        state.keep(trouble.record(item, Vec::new()), out);
    }
}

/// How often the item's memory has grown once it grows again: not beyond what its stage says, nor where nobody here could be given
/// it.
fn grown(state: &State, item: &ItemKey, growths: u32) -> u32 {
    let Some(job) = state.ledger.job(item.job) else { return growths };
    let (at, next) = (usize::from(item.stage), growths.saturating_add(1));
    let namespace = &job.record.namespace;
    let needs = job.needs(at, next as usize).map(|needs| &**needs);
    let mut could = state.fleet.workers().filter(|(id, _)| state.fleet.may_have(*id, namespace, needs));
    if next as usize <= job.most_growths(at) && could.next().is_some() { next } else { growths }
}

/// The item is tried elsewhere, as long as there is a worker that can be reached and may be given it on which it has not failed.
fn avoid(state: &mut State, worker: WorkerId, item: &ItemKey) {
    if let Some(job) = state.ledger.job(item.job) {
        let needs = job.needs_of(item).map(|needs| &**needs);
        let takers = || state.fleet.takers_for(&job.record.namespace, needs);
        state.queues.avoid(item, worker, |is_avoided| takers().any(|taker| !is_avoided(taker)));
    }
}

fn trouble_of(state: &State, item: &ItemKey) -> Trouble {
    state.ledger.job(item.job).and_then(|job| job.trouble(item)).cloned().unwrap_or_default()
}

fn lost_on(state: &State, worker: WorkerId) -> LostOn {
    LostOn::new(worker, state.fleet.worker(worker).map_or("", |known| &known.name))
}
