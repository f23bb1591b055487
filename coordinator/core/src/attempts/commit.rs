//! The one commit of an item: its outcome.

use crate::{
    ids::ItemKey,
    outbox::Outbox,
    record::{OutcomeRecord, Record},
    state::State,
};

/// Keeps how the item ended. Its troubles no longer count.
pub(super) fn commit(state: &mut State, item: ItemKey, success: bool, outputs: u64, detail: Vec<u8>, out: &mut Outbox) {
    let Some(job) = state.ledger.job(item.job) else {
        return;
    };
    let at = usize::from(item.stage);
    let first_child = if success && job.has_children(at) { job.items(at + 1) } else { 0 };
    let had_trouble = job.trouble(&item).is_some();
    state.keep(Record::Outcome(OutcomeRecord { item, success, outputs, first_child, detail }), out);
    if had_trouble {
        state.keep(Record::TroubleGone(item), out);
    }
}
