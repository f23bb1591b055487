//! A worker leaves for good.

use super::loss::{Loss, lose};
use crate::{
    ids::{Incarnation, Now, WorkerId},
    outbox::Outbox,
    state::State,
};

/// The worker is gone, if this is the life of it that is known.
pub(crate) fn goodbye(state: &mut State, now: Now, worker: WorkerId, incarnation: Incarnation, out: &mut Outbox) {
    if state.fleet.is_life(worker, incarnation) {
        lose(state, now, worker, Loss::Goodbye, out);
    }
}
