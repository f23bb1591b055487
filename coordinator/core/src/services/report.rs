//! A worker says where its replicas stand.

use std::collections::BTreeSet;

use crate::{
    ids::{Incarnation, WorkerId},
    input::ReplicaStatus,
    outbox::{Notice, Outbox},
    services::plan::ReplicaKey,
    state::State,
};

/// Takes in what a worker says of all its replicas, if this is the life of it that is known.
pub(crate) fn report(
    state: &mut State,
    (worker, incarnation): (WorkerId, Incarnation),
    replicas: &[ReplicaStatus],
    out: &mut Outbox,
) {
    if state.fleet.is_life(worker, incarnation) {
        take_in(state, worker, replicas, out);
    }
}

/// Takes in what a worker says of all its replicas; those it does not name count as starting.
pub(crate) fn take_in(state: &mut State, worker: WorkerId, replicas: &[ReplicaStatus], out: &mut Outbox) {
    let has: BTreeSet<&ReplicaKey> = replicas.iter().map(|status| &status.key).collect();
    let mut changed = state.placement.restarting(worker, &has);
    changed.extend(state.placement.report(worker, state.fleet.clientele(worker), replicas));
    out.notices.extend(changed.into_iter().map(Notice::Service));
}
