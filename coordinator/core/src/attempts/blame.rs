//! An attempt has failed: whose fault it was decides between another try and the end of the item.

use super::{commit::commit, pause::pause_ms};
use crate::{
    ids::{ItemKey, Now},
    input::Blame,
    jobs::end::end_if_spent,
    outbox::Outbox,
    stages::ItemState,
    state::State,
};

/// Decides between another try and the end.
pub(super) fn failed(state: &mut State, now: Now, item: ItemKey, blame: Blame, detail: Vec<u8>, out: &mut Outbox) {
    let Some(job) = state.ledger.job(item.job) else {
        return;
    };
    let Some(spec) = job.spec(usize::from(item.stage)) else {
        return;
    };
    let settings = state.settings;
    let mut trouble = job.trouble(&item).unwrap_or_default();
    let (count, pauses) = match blame {
        Blame::Item | Blame::Hopeless => {
            trouble.failures += 1;
            (trouble.failures, (spec.backoff_ms, spec.max_backoff_ms))
        }
        Blame::Slot => {
            trouble.crashes += 1;
            (trouble.crashes, settings.mishap_pause_ms)
        }
        Blame::Infrastructure => {
            trouble.mishaps += 1;
            (trouble.mishaps, settings.mishap_pause_ms)
        }
    };
    let spent =
        trouble.failures >= spec.attempts || trouble.crashes >= settings.crashes || trouble.mishaps >= settings.mishaps;
    state.queues.failed(&item);
    if spent || blame == Blame::Hopeless {
        commit(state, item, false, 0, detail, out);
        return;
    }
    state.keep(trouble.record(item, detail), out);
    let due_ms = now.steady_ms.saturating_add(pause_ms(pauses, count, item.index));
    state.queues.pause(&item, due_ms);
}

/// A worker went away with this item running on it: that counts as a slot taken down, but not as the item's
/// failure. There are no words of a worker to keep; an empty detail says just that.
pub(crate) fn suspect(state: &mut State, now: Now, item: ItemKey, out: &mut Outbox) {
    failed(state, now, item, Blame::Slot, Vec::new(), out);
    out.notice_job(item.job);
    end_if_spent(state, now, item.job, out);
}

/// As [`suspect`], for an item that runs elsewhere by now: only counted.
pub(crate) fn suspect_later(state: &mut State, item: ItemKey, out: &mut Outbox) {
    let Some(job) = state.ledger.job(item.job) else {
        return;
    };
    if job.state(&item) == Some(ItemState::Pending) && !job.record.state.has_ended() {
        let mut trouble = job.trouble(&item).unwrap_or_default();
        trouble.crashes += 1;
        state.keep(trouble.record(item, Vec::new()), out);
    }
}
