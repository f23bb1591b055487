//! Time has passed: leases run out, and who did not come back after a start is given up.

use super::loss::{Loss, lose};
use crate::{ids::Now, outbox::Outbox, record::Record, state::State};

/// Loses workers that were silent for longer than a lease.
pub(crate) fn lose_the_silent(state: &mut State, now: Now, out: &mut Outbox) {
    let lease_ms = state.settings.lease_ms;
    let silent = state.fleet.look_at_leases(|worker| now.steady_ms > worker.heard_ms + lease_ms);
    for worker in silent {
        lose(state, now, worker, Loss::Silence, out);
    }
}

/// Ends the reunion when its time is over.
pub(crate) fn give_up_the_missed(state: &mut State, now: Now, out: &mut Outbox) {
    for worker in state.reunion.give_up(now) {
        state.keep(Record::WorkerGone(worker), out);
    }
}
