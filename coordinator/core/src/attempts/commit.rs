//! The one commit of an item: its outcome.

use super::Trouble;
use crate::{
    ids::ItemKey,
    outbox::Outbox,
    record::{GivenUp, OutcomeRecord, Record},
    state::State,
};

/// How an item has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// Well, with so many outputs.
    Succeeded { outputs: u64 },
    /// Well: there was nothing in it.
    Filtered,
    /// It failed after so many tries. Spared: although there were some left, for its stage says that such a failure is not tried again.
    Failed { spared: bool, tries: u32 },
}

/// Keeps how the item ended. Its troubles no longer count.
pub(super) fn commit(state: &mut State, item: ItemKey, ended: Ended, detail: Vec<u8>, out: &mut Outbox) {
    let Some(job) = state.ledger.job(item.job) else {
        return;
    };
    let at = usize::from(item.stage);
    let outcome = match ended {
        Ended::Succeeded { outputs } => {
            let first_child = if job.has_children(at) { job.bound(at + 1) } else { 0 };
            OutcomeRecord { outputs, first_child, ..OutcomeRecord::ended(item, true, detail) }
        }
        Ended::Filtered => OutcomeRecord { filtered: true, ..OutcomeRecord::ended(item, true, detail) },
        Ended::Failed { spared, tries } => OutcomeRecord { spared, tries, ..OutcomeRecord::ended(item, false, detail) },
    };
    let revocable = outcome.success && job.may_withdraw(at);
    keep(state, OutcomeRecord { revocable, ..outcome }, out);
}

/// Keeps that the item was given up for what went away under it.
pub(super) fn give_up(state: &mut State, item: ItemKey, trouble: &Trouble, detail: Vec<u8>, out: &mut Outbox) {
    let given_up = GivenUp { attempts: trouble.tries(), losses: trouble.losses.clone() };
    let (given_up, tries) = (Some(Box::new(given_up)), trouble.tries());
    keep(state, OutcomeRecord { given_up, tries, ..OutcomeRecord::ended(item, false, detail) }, out);
}

fn keep(state: &mut State, outcome: OutcomeRecord, out: &mut Outbox) {
    let item = outcome.item;
    let had_trouble = state.ledger.job(item.job).is_some_and(|job| job.trouble(&item).is_some());
    state.queues.forget(&item);
    state.keep(Record::Outcome(outcome), out);
    if had_trouble {
        state.keep(Record::TroubleGone(item), out);
    }
}
