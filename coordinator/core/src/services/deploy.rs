//! A client wants a service.

use crate::{
    ids::{Digest, RequestId},
    outbox::{Notice, Outbox, Refusal, Reply},
    record::{Record, ServiceRecord},
    services::{name::ServiceName, plan::ServicePlan},
    state::State,
};

/// Keeps the service under the next generation of its name, unless there is one of that name.
pub(crate) fn deploy(
    state: &mut State,
    request: RequestId,
    name: ServiceName,
    plan: ServicePlan,
    detail: Digest,
    out: &mut Outbox,
) {
    let known = state.ledger.service(&name);
    let generation = known.map_or(0, |known| known.generation);
    let reply = match known {
        Some(ServiceRecord { plan: Some(_), detail: same, .. }) if *same == detail => Reply::Deployed { generation },
        Some(ServiceRecord { plan: Some(_), .. }) => Reply::Refused(Refusal::ServiceExists(name)),
        _ => {
            let generation = generation + 1;
            state.placement.want(plan.replicas_of(&name, generation));
            let record = ServiceRecord { name: name.clone(), generation, plan: Some(plan), detail };
            state.keep(Record::Service(record), out);
            out.notices.push(Notice::Service(name));
            Reply::Deployed { generation }
        }
    };
    out.replies.push((request, reply));
}
