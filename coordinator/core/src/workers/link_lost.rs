//! The link to a worker has ended.

use crate::{
    ids::{Incarnation, WorkerId},
    outbox::{Notice, Outbox},
    state::State,
};

/// The worker cannot be reached, but its lease goes on: what it runs and keeps stays where it is.
pub(crate) fn link_lost(state: &mut State, worker: WorkerId, incarnation: Incarnation, out: &mut Outbox) {
    if state.fleet.disconnect(worker, incarnation) {
        out.notices.extend(state.placement.services_on(worker).into_iter().map(Notice::Service));
    }
}
