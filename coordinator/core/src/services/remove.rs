//! A client wants a service removed.

use crate::{
    ids::RequestId,
    outbox::{Notice, Outbox, Refusal, Reply},
    record::{Record, ServiceRecord},
    services::name::ServiceName,
    state::State,
};

/// Keeps that the service is removed; its generation stays, for the next of that name.
pub(crate) fn remove(state: &mut State, request: RequestId, name: &ServiceName, out: &mut Outbox) {
    let reply = match state.ledger.service(name) {
        Some(known) if known.plan.is_some() => {
            let record = ServiceRecord { plan: None, ..known.clone() };
            state.placement.unwant(name);
            state.keep(Record::Service(record), out);
            out.notices.push(Notice::Service(name.clone()));
            Reply::Removed
        }
        _ => Reply::Refused(Refusal::NoSuchService(name.clone())),
    };
    out.replies.push((request, reply));
}
