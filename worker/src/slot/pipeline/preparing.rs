//! Before a run: its input is put in place.

use std::{sync::Arc, time::Instant};

use futures_util::FutureExt;
use longshore_proto::v1::Failure;

use super::{Ahead, Pipeline};
use crate::{
    cache::{Blob, FetchBlobs},
    contract::{
        failures, fetch,
        inputs::{Staged, Wanted},
    },
    slot::{plan::StagePlan, queue::Offer},
    work::{Ended, Work},
};

impl Pipeline<'_> {
    /// Takes up one more attempt, if there is one for this container. False when there is not.
    pub(super) async fn prepare_next(&mut self) -> bool {
        let options = &self.shared.options;
        if self.closing || !self.warm.is_fit(options.max_age, options.max_runs) {
            return false;
        }
        // A run could reach what is put in place for another one that is the same user.
        if self.warm.users.are_one() && !self.running.is_empty() {
            return false;
        }
        let offer = self.shared.queue().more(self.seat, self.warm.pace.is_quick(), Instant::now());
        let Some(offer) = offer else { return false };
        if self.warm.serves(&offer) {
            self.prepare(offer).await;
            return true;
        }
        // A job not seen here: whether its image is this one is asked between pipelines.
        let wake = self.shared.queue().decline(self.seat, &offer);
        self.shared.wake(wake);
        false
    }

    /// Puts an attempt's input in place, at once where it has travelled along.
    pub(super) async fn prepare(&mut self, offer: Offer) {
        let plan = self.warm.plan(&offer, self.shared);
        let wanted = plan.wanted(&offer.work);
        if let Err(failure) = plan.runs.ensure_arguments(&wanted, &self.warm.dirs.inputs) {
            return self.refuse(&offer, failure).await;
        }
        let staged = match self.warm.dirs.inputs.stage_small(&wanted) {
            Some(staged) => staged,
            None => match self.warm.dirs.inputs.stager() {
                Ok(stager) => {
                    let arriving = fetch_and_stage(
                        Arc::clone(&offer.work),
                        Arc::clone(&plan),
                        Arc::clone(&self.shared.blobs),
                        stager,
                    );
                    self.staging = Some((offer, plan, arriving.boxed()));
                    return;
                }
                Err(cause) => Err(cause),
            },
        };
        match staged {
            Ok(staged) => self.ahead = Some(Ahead { offer, plan, staged }),
            Err(cause) => self.refuse(&offer, failures::of_disk("its input cannot be put in place", &cause)).await,
        }
    }

    /// The input on its way is there, or cannot be had.
    pub(super) async fn arrived(&mut self, outcome: Result<Staged, Failure>) {
        let Some((offer, plan, _)) = self.staging.take() else { return };
        match outcome {
            Ok(staged) => self.ahead = Some(Ahead { offer, plan, staged }),
            Err(failure) => self.refuse(&offer, failure).await,
        }
    }

    /// An attempt that waits fails without having run.
    async fn refuse(&mut self, offer: &Offer, failure: Failure) {
        if self.shared.is_short_of_room() {
            // It is tried again when there is room.
            let wake = self.shared.queue().decline(self.seat, offer);
            return self.shared.wake(wake);
        }
        let mine = self.shared.queue().claim(self.seat, offer);
        if mine {
            self.report_unstarted(offer, failure).await;
        }
    }

    /// An attempt of ours fails without having run.
    pub(super) async fn report_unstarted(&mut self, offer: &Offer, failure: Failure) {
        let wanted = self.shared.queue().finish(offer);
        if wanted {
            self.shared.report(offer.work.ended(Ended::Failure(failure))).await;
        }
    }

    /// What was prepared and will not run here is left to others.
    pub(super) fn leave(&mut self) {
        let prepared = self.ahead.take().map(|ahead| {
            self.warm.dirs.inputs.clear(ahead.staged);
            ahead.offer
        });
        for offer in prepared.into_iter().chain(self.staging.take().map(|(offer, ..)| offer)) {
            let wake = self.shared.queue().decline(self.seat, &offer);
            self.shared.wake(wake);
        }
    }
}

async fn fetch_and_stage(
    work: Arc<Work>,
    plan: Arc<StagePlan>,
    blobs: Arc<dyn FetchBlobs>,
    stager: impl FnOnce(&Wanted<'_>, &[Blob]) -> std::io::Result<Staged> + Send + 'static,
) -> Result<Staged, Failure> {
    let fetched = fetch::all(&work.inputs, &work.namespace, &blobs).await?;
    // Large copies, or a great many links: not on the slot's thread, which has runs to look after.
    let staged = tokio::task::spawn_blocking(move || stager(&plan.wanted(&work), &fetched)).await;
    let failed = |cause| failures::of_disk("its input cannot be put in place", &cause);
    staged.map_err(std::io::Error::other).and_then(|staged| staged).map_err(failed)
}
