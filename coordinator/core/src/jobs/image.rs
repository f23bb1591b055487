//! Workers agree on which image a stage's runs are of, where its name may mean another tomorrow.

use crate::{
    ids::{Digest, Incarnation, JobId, WorkerId},
    outbox::{Notice, Order, Outbox},
    record::{ImageRecord, Record},
    state::State,
};

/// A worker has found an image for some stages of a job, which name the same: the first answer counts, for all of them, and
/// for as long as the job is there. Whoever asks is told which that is, as of the first of these stages.
pub(crate) fn image(
    state: &mut State,
    (worker, incarnation): (WorkerId, Incarnation),
    id: JobId,
    stages: &[u16],
    found: Digest,
    out: &mut Outbox,
) {
    let (Some(job), Some(asked)) = (state.ledger.job(id), stages.first()) else {
        return;
    };
    let may_know = state.fleet.clientele(worker).has(&job.record.namespace);
    if !state.fleet.is_life(worker, incarnation) || !may_know || job.record.state.has_ended() {
        return;
    }
    let known = stages.iter().find_map(|stage| job.image((*stage).into()));
    let digest = known.unwrap_or(found);
    let new: Vec<u16> = stages.iter().copied().filter(|stage| job.lacks_image((*stage).into())).collect();
    for stage in new {
        state.keep(Record::Image(ImageRecord { job: id, stage, digest }), out);
        out.notices.push(Notice::Job(id));
    }
    out.orders.push(Order::Image { worker, job: id, stage: *asked, digest });
}
