//! A member wants another certificate, perhaps for another key.

use crate::{
    ids::{Digest, RequestId, WorkerId},
    outbox::{Notice, Outbox, Refusal, Reply},
    record::Record,
    state::State,
};

/// Keeps the key that the member has from now on. It has come with `from`, which is good until it comes with the newer one.
pub(crate) fn renew(
    state: &mut State,
    request: RequestId,
    worker: WorkerId,
    (from, to): (Digest, Digest),
    out: &mut Outbox,
) {
    let anothers = state.ledger.member_of_key(&to).is_some_and(|member| member.id != worker);
    let reply = match state.ledger.member(worker) {
        Some(member) if member.is_revoked() => Reply::Refused(Refusal::WorkerRevoked(worker)),
        Some(member) if member.has_key(&from) && !anothers => {
            let mut renewed = member.clone();
            renewed.renew(from, to);
            if renewed != *member {
                state.keep(Record::Member(renewed.clone()), out);
                out.notices.push(Notice::Member(worker));
            }
            Reply::Renewed(renewed)
        }
        Some(_) => Reply::Refused(Refusal::WorkerIsAnother(worker)),
        None => Reply::Refused(Refusal::NoSuchWorker(worker)),
    };
    out.replies.push((request, reply));
}
