//! A worker leaves for good, or is made to.

use super::loss::{Loss, lose};
use crate::{
    ids::{Incarnation, Now, WorkerId},
    outbox::Outbox,
    record::Record,
    state::State,
};

/// The worker is gone, if this is the life of it that is known.
pub(crate) fn goodbye(state: &mut State, now: Now, worker: WorkerId, incarnation: Incarnation, out: &mut Outbox) {
    if state.fleet.is_life(worker, incarnation) {
        lose(state, now, worker, Loss::Goodbye, out);
    }
}

/// The worker is gone, in whatever life, and nobody waits for it.
pub(crate) fn part(state: &mut State, now: Now, worker: WorkerId, out: &mut Outbox) {
    lose(state, now, worker, Loss::Goodbye, out);
    if state.reunion.came(worker) {
        state.keep(Record::WorkerGone(worker), out);
    }
}
