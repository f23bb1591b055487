//! Replicas are placed, and workers told what to keep, after workers or services have changed.

use crate::{
    ids::Now,
    outbox::{Notice, Order, Outbox},
    state::State,
};

/// Places what is not placed. Nothing moves in reunion: it may be kept by a worker that is still to come back.
pub(crate) fn place(state: &mut State, now: Now, out: &mut Outbox) {
    if state.placement.is_settled() || state.reunion.is_on(now) {
        return;
    }
    let fleet = &state.fleet;
    let placed = state.placement.settle(|namespace| fleet.takers_for(namespace, None).collect());
    out.notices.extend(placed.into_iter().map(Notice::Service));
    let drained: Vec<_> = fleet.workers().filter(|(_, worker)| worker.draining).map(|(id, _)| id).collect();
    state.placement.move_off(&drained, |namespace| fleet.takers_for(namespace, None).collect());
    for worker in state.placement.untold() {
        if state.fleet.worker(worker).is_some_and(|known| known.connected) {
            out.orders.push(Order::Replicas { worker, keep: state.placement.on(worker).cloned().collect() });
        }
    }
}
