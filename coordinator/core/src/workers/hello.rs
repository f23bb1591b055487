//! A worker has connected: for the first time, again, or after a restart.

use super::{
    fleet::Arrival,
    loss::{Loss, look_back, lose},
};
use crate::{
    attempts::reconcile::{reconcile, stop_all},
    ids::Now,
    input::{Held, ReplicaStatus},
    members::MemberRecord,
    outbox::{Notice, Order, Outbox},
    record::{Record, WorkerRecord},
    services::report::take_in,
    state::State,
};

/// Takes the worker in, with the attempts and replicas it has; unless it was revoked: then it is not known, and its link ends.
pub(crate) fn hello(
    state: &mut State,
    now: Now,
    arrival: Arrival,
    held: &[Held],
    replicas: &[ReplicaStatus],
    out: &mut Outbox,
) {
    if state.ledger.member(arrival.worker).is_some_and(MemberRecord::is_revoked) {
        return;
    }
    let (worker, incarnation, previous) = (arrival.worker, arrival.incarnation, arrival.previous);
    if let Some(before) = state.fleet.worker(worker).map(|known| known.incarnation).filter(|it| *it != incarnation) {
        // Whoever cannot show that it is what came of that life may be a copy of it: then nothing went down.
        let loss = if previous == Some(before) { Loss::Restart } else { Loss::Takeover };
        lose(state, now, worker, loss, out);
    }
    look_back(state, worker, (incarnation, previous), out);
    if !state.ledger.knows_worker(worker, &arrival.name) {
        state.keep(Record::Worker(WorkerRecord { id: worker, name: arrival.name.clone() }), out);
    }
    state.reunion.came(worker);
    state.fleet.join(arrival, now.steady_ms);
    state.fleet.set_draining(worker, state.ledger.is_drained(worker));
    out.orders.push(Order::Welcome { worker, incarnation });
    if state.lives.came(worker, incarnation) {
        stop_all(worker, held, out);
    } else {
        reconcile(state, worker, held, out);
    }
    state.placement.tell_anew(worker);
    let barred = state.placement.bar(worker, state.fleet.clientele(worker));
    out.notices.extend(barred.into_iter().map(Notice::Service));
    take_in(state, worker, replicas, out);
}
