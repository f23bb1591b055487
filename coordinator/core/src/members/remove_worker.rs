//! Somebody wants a worker off the list, or out.

use crate::{
    ids::{Now, RequestId, WorkerId},
    members::member::MemberRecord,
    outbox::{Notice, Outbox, Refusal, Reply},
    record::Record,
    state::State,
    workers::goodbye::part,
};

/// Forgets a member that is not here; or, where it is to be revoked, keeps that it may do nothing any more: what it holds goes
/// elsewhere, and nobody is blamed.
pub(crate) fn remove_worker(
    state: &mut State,
    now: Now,
    request: RequestId,
    (worker, revoke): (WorkerId, bool),
    out: &mut Outbox,
) {
    let is_here = state.fleet.worker(worker).is_some();
    let reply = match state.ledger.member(worker).cloned() {
        None if is_here => Reply::Refused(Refusal::WorkerIsNoMember(worker)),
        None => Reply::Refused(Refusal::NoSuchWorker(worker)),
        Some(_) if is_here && !revoke => Reply::Refused(Refusal::WorkerIsHere(worker)),
        Some(member) => {
            part(state, now, worker, out);
            if state.ledger.is_drained(worker) {
                state.keep(Record::DrainGone(worker), out);
            }
            let name = member.name.clone();
            if !revoke {
                state.keep(Record::MemberGone(worker), out);
            } else if !member.is_revoked() {
                state.keep(Record::Member(MemberRecord { revoked_ms: now.wall_ms.max(1), ..member }), out);
            }
            out.notices.push(Notice::Member(worker));
            Reply::WorkerRemoved { worker, name }
        }
    };
    out.replies.push((request, reply));
}
