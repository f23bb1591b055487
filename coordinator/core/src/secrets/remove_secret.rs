//! Somebody wants a secret to be gone.

use crate::{
    ids::RequestId,
    outbox::{Notice, Outbox, Refusal, Reply},
    record::Record,
    secrets::secret::{SecretName, SecretRecord},
    state::State,
};

/// Forgets its value; its version stays, for the next of that name. Replicas of the namespace are told anew, so that none goes on
/// with it.
pub(crate) fn remove_secret(state: &mut State, request: RequestId, name: &SecretName, out: &mut Outbox) {
    let Some(SecretRecord { version, sealed: Some(_), .. }) = state.ledger.secret(name) else {
        out.replies.push((request, Reply::Refused(Refusal::NoSuchSecret(name.clone()))));
        return;
    };
    let record = SecretRecord { name: name.clone(), version: *version, sealed: None };
    state.placement.tell_namespace_anew(&name.namespace);
    out.notices.push(Notice::Secret(name.clone()));
    state.keep(Record::Secret(record), out);
    out.replies.push((request, Reply::SecretRemoved));
}
