//! A worker could not get the image of an attempt: that is tried elsewhere, and only what nobody can get is a failure. Of that one
//! item of a stage is enough.

use super::blame::failed;
use crate::{
    fault::{Blame, Fault},
    ids::{ItemKey, Now, WorkerId},
    jobs::{Cut, end::cut},
    outbox::Outbox,
    state::State,
};

/// Leaves the worker out of the item's stage for a while. Another one takes the item, untried; where there is none it has failed,
/// and unless its stage has it tried again the job ends with that.
pub(super) fn imageless(
    state: &mut State,
    now: Now,
    (item, worker): (ItemKey, WorkerId),
    (blame, fault): (Blame, Fault),
    detail: Vec<u8>,
    out: &mut Outbox,
) {
    let Some(job) = state.ledger.job(item.job) else { return };
    let tried_again = job.spec(item.stage.into()).is_some_and(|spec| spec.policy.allows(blame, &fault));
    if job.record.cut.is_some() {
        return state.queues.give_back(&item);
    }
    state.queues.miss_image(&item, worker, now, &detail);
    if others_may_have_it(state, &item) {
        state.queues.failed(&item);
        return state.queues.give_back(&item);
    }
    if tried_again {
        // Its pauses say when.
        state.queues.forget_missing(&item);
    }
    failed(state, now, (item, worker), (blame, fault), detail, out);
    if !tried_again && state.ledger.job(item.job).is_some_and(|job| !job.is_spent()) {
        cut(state, now, item.job, Cut::Image { stage: item.stage }, out);
    }
}

/// Whether there is a worker, here or expected back, that takes work, may be given the item and has not failed to get its image.
fn others_may_have_it(state: &State, item: &ItemKey) -> bool {
    let Some(job) = state.ledger.job(item.job) else { return false };
    let (namespace, needs) = (&job.record.namespace, job.needs_of(item).map(|needs| &**needs));
    let mut workers = state.fleet.workers().filter(|(_, worker)| worker.slots > 0 && !worker.draining);
    workers.any(|(id, _)| {
        state.fleet.may_have(id, namespace, needs) && !state.queues.missing.has((item.job, item.stage), id)
    })
}
