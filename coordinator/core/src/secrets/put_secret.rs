//! Somebody gives a secret a value.

use crate::{
    ids::RequestId,
    outbox::{Notice, Outbox, Refusal, Reply},
    record::Record,
    secrets::secret::{Sealed, SecretName, SecretRecord},
    state::State,
};

/// Keeps it as this version, if that is the next one: it is sealed into the value. Replicas of the namespace are told anew, so
/// that none goes on with the value of before.
pub(crate) fn put_secret(
    state: &mut State,
    request: RequestId,
    name: SecretName,
    (version, sealed): (u64, Sealed),
    out: &mut Outbox,
) {
    let last = state.ledger.secret(&name).map_or(0, |secret| secret.version);
    if last.checked_add(1) != Some(version) {
        out.replies.push((request, Reply::Refused(Refusal::SecretMoved(name))));
        return;
    }
    state.placement.tell_namespace_anew(&name.namespace);
    out.notices.push(Notice::Secret(name.clone()));
    state.keep(Record::Secret(SecretRecord { name, version, sealed: Some(sealed) }), out);
    out.replies.push((request, Reply::SecretPut { version }));
}
