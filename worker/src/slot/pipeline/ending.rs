//! After a run: its outputs are collected and its end is told, or it goes back to the queue.

use std::time::{Duration, Instant};

use longshore_proto::v1::{Failure, FailureClass};
use longshore_shim::{Done, End};
use tracing::{debug, warn};

use super::{Broken, Fate, Pipeline, Running};
use crate::{
    contract::{Tray, failures, inputs::Staged},
    runtime::ShimLost,
    slot::{plan::StagePlan, queue::Offer, shared::RETURNS},
    work::Ended,
};

impl Pipeline<'_> {
    /// Settles a run that has ended. False when the container must not be used again.
    pub(super) async fn conclude(&mut self, run: Running, mut done: Done) -> bool {
        let Running { offer, plan, staged, mut tray, fate, over, started, .. } = run;
        let called_back = matches!(done.end, End::Stopped);
        let ended = match fate {
            Fate::Forget => None,
            Fate::GiveBack if called_back => Some(Ended::Returned),
            Fate::PutBack if called_back => {
                self.put_back(offer.clone(), false);
                None
            }
            // Unless it had ended by itself.
            _ if called_back && let Some(over) = over => Some(Ended::Failure(over)),
            _ => match self.judge(&mut tray, &offer, &plan, &mut done) {
                Ended::Failure(failure) => self.shared.believe(&offer, failure, started).map(Ended::Failure),
                ended => Some(ended),
            },
        };
        let clean = self.clear(staged, tray);
        if let Some(ended) = ended {
            self.report(&offer, ended, done).await;
        }
        clean
    }

    /// The container was gone before this attempt could start in it: another container's turn, but not for ever.
    pub(super) async fn had_no_chance(&mut self, offer: Offer, lost: &ShimLost) {
        if offer.returns < RETURNS {
            return self.put_back(offer, true);
        }
        let failure =
            failures::failure(FailureClass::SlotLost, format!("its containers ended before it began: {lost}"));
        self.report_unstarted(&offer, failure).await;
    }

    fn judge(&mut self, tray: &mut Tray, offer: &Offer, plan: &StagePlan, done: &mut Done) -> Ended {
        match self.warm.dirs.judge(&plan.runs, tray, &offer.work.path, done) {
            Ok(collected) => {
                failures::say(&mut done.stderr, &collected.notes);
                Ended::Success { outputs: collected.outputs }
            }
            Err(failure) => Ended::Failure(failure),
        }
    }

    async fn report(&mut self, offer: &Offer, ended: Ended, done: Done) {
        let wanted = self.shared.queue().finish(offer);
        if !wanted {
            return;
        }
        let mut finished = offer.work.ended(ended);
        finished.duration = Duration::from_micros(done.usage.wall_us);
        let secrets = &offer.work.secrets;
        finished.stdout_log = failures::log_bytes(secrets.hide_in_log(done.stdout));
        finished.stderr_log = failures::log_bytes(secrets.hide_in_log(done.stderr));
        if let Ended::Failure(failure) = &mut finished.ended {
            failure.stderr_tail = failures::tail(&finished.stderr_log);
        }
        self.shared.report(finished).await;
    }

    fn clear(&mut self, staged: Staged, tray: Tray) -> bool {
        let cleared = self.warm.dirs.clear(staged, tray);
        if let Err(cause) = &cleared {
            warn!(seat = self.seat, container = self.warm.control.id(), %cause, "a run's directory cannot be removed");
        }
        cleared.is_ok()
    }

    /// `counts` says that it was the container's fault: it must not go on for ever.
    fn put_back(&mut self, offer: Offer, counts: bool) {
        self.shared.put_back(offer, counts);
    }

    /// Removes the container now: nothing inside lives after that. False when it cannot be removed.
    pub(super) async fn end_sandbox(&mut self) -> bool {
        self.closing = true;
        let removed = tokio::select! {
            removed = self.warm.control.remove() => removed,
            () = self.shared.too_late() => return false,
        };
        if let Err(error) = &removed {
            warn!(container = self.warm.control.id(), %error, "a container cannot be removed");
        }
        removed.is_ok()
    }

    /// The container is of no more use: whoever was first in line may be the cause, the others go elsewhere.
    pub(super) async fn give_up(&mut self, broken: Broken) {
        let first = match &broken {
            Broken::Exit | Broken::Spoilt => None,
            Broken::Lost(_) | Broken::Silent => self.running.pop_front(),
        };
        if let Some(first) = first {
            let failure = self.cause(&broken, &first).await;
            debug!(seat = self.seat, container = self.warm.control.id(), why = failure.message, "a container was lost");
            self.settle_lost(first, failure).await;
        }
        if matches!(broken, Broken::Exit) {
            return;
        }
        while let Some(run) = self.running.pop_front() {
            match run.fate {
                Fate::Forget => {}
                Fate::GiveBack => self.give_back(&run.offer).await,
                Fate::Report | Fate::PutBack => self.put_back(run.offer, false),
            }
        }
    }

    async fn cause(&mut self, broken: &Broken, first: &Running) -> Failure {
        match broken {
            Broken::Lost(lost) => {
                let post_mortem = self.warm.control.post_mortem().await;
                failures::of_lost(&post_mortem, &lost.reason, first.plan.bounds())
            }
            _ => failures::of_silence(first.plan.bounds()),
        }
    }

    pub(super) async fn settle_lost(&mut self, first: Running, failure: Failure) {
        match first.fate {
            Fate::Forget => return,
            Fate::GiveBack => return self.give_back(&first.offer).await,
            Fate::PutBack => return self.put_back(first.offer, false),
            Fate::Report => {}
        }
        let Some(failure) = self.shared.believe(&first.offer, failure, first.started) else { return };
        let wanted = self.shared.queue().finish(&first.offer);
        if wanted {
            let mut finished = first.offer.work.ended(Ended::Failure(failure));
            let started = first.started.unwrap_or_else(Instant::now);
            finished.duration = started.elapsed();
            self.shared.report(finished).await;
        }
    }

    async fn give_back(&mut self, offer: &Offer) {
        let wanted = self.shared.queue().finish(offer);
        if wanted {
            self.shared.report(offer.work.ended(Ended::Returned)).await;
        }
    }
}
