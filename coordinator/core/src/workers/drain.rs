//! A worker is to be given nothing more, so that it can be taken away without loss; or is to be given work again.

use crate::{
    ids::{Now, WorkerId},
    members::MemberRecord,
    outbox::{Order, Outbox, Refusal, Reply},
    record::{DrainRecord, Record},
    state::State,
};

/// Workers that are drained at most: their records outlive them.
const DRAINED: usize = 10_000;

/// The worker is given nothing more, now or when it comes back, until it is let go on. What it has not begun comes back; what
/// runs goes on.
pub(crate) fn drain(state: &mut State, now: Now, worker: WorkerId, out: &mut Outbox) -> Reply {
    if state.ledger.is_drained(worker) {
        return Reply::Done;
    }
    if !is_known(state, worker) {
        return Reply::Refused(Refusal::NoSuchWorker(worker));
    }
    if state.ledger.drained() >= DRAINED {
        return Reply::Refused(Refusal::TooManyDrained(DRAINED));
    }
    state.keep(Record::Drain(DrainRecord { worker, since_ms: now.wall_ms }), out);
    state.fleet.set_draining(worker, true);
    // What it keeps goes elsewhere.
    state.placement.tell_anew(worker);
    let queued = state.fleet.queued_on(worker).filter(|attempt| state.fleet.not_asked_back(*attempt).is_some());
    let ids: Vec<_> = queued.collect();
    if !ids.is_empty() && state.fleet.worker(worker).is_some_and(|known| known.connected) {
        ids.iter().for_each(|id| state.fleet.ask_back(*id));
        out.orders.push(Order::Return { worker, ids });
    }
    Reply::Done
}

/// The worker is given work again.
pub(crate) fn undrain(state: &mut State, worker: WorkerId, out: &mut Outbox) -> Reply {
    if state.ledger.is_drained(worker) {
        state.keep(Record::DrainGone(worker), out);
        state.fleet.set_draining(worker, false);
        state.placement.stay_on(worker);
        state.placement.tell_anew(worker);
    } else if !is_known(state, worker) {
        return Reply::Refused(Refusal::NoSuchWorker(worker));
    }
    Reply::Done
}

/// Whether the worker is here, expected back, or a member.
fn is_known(state: &State, worker: WorkerId) -> bool {
    let is_member = state.ledger.member(worker).is_some_and(|member| !MemberRecord::is_revoked(member));
    is_member || state.fleet.worker(worker).is_some() || state.ledger.workers().any(|(id, _)| id == worker)
}
