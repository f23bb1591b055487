//! One slot: room for one attempt, and the warm container it keeps for the next.
//!
//! ```text
//! resting ──offer──► warm for it? ──no──► retire the old one, start another ──┐
//!    ▲                   └──yes──► pipeline of runs (files), or requests (http) ◄─┘
//!    └──────── nothing more that fits this container ◄──────┘
//! ```
//!
//! Attempts whose containers would be the same share one, also across jobs; `isolation: container` gives each its own.
//! The shim ends every process of a run before the next begins. Each run is a user of its own, and its input and the place of
//! its outputs are that user's: a run reaches nothing of another. Where runs are all the same user (`runtime/users`), one is
//! put in place only when the one before is collected, and containers are for one job.

use std::{
    io,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use longshore_proto::v1::{Failure, FailureClass};
use tokio::{sync::mpsc, task::JoinSet, time::sleep_until};
use tracing::{debug, warn};

use crate::{
    contract::failures,
    runtime::{ImageError, StartError},
    work::Ended,
};

mod images;
mod key;
mod looks;
mod pace;
mod pipeline;
mod plan;
mod queue;
mod requests;
mod shared;
mod warm;

pub(crate) use images::{Agree, Images};
pub(crate) use queue::Queue;
use queue::{Next, Offer};
pub use shared::Options;
pub(crate) use shared::{Command, Shared};
pub(crate) use warm::has_read_only_inputs;
use warm::{Verdict, Warm};

/// Pause after the engine failed, before it is asked again.
const ENGINE_PAUSE: Duration = Duration::from_secs(1);

/// How long it may take to find out whether the engine can run anything.
const TRIAL: Duration = Duration::from_secs(20);

/// Why there is no container for an attempt.
enum NotReady {
    /// The executor is shutting down.
    Leaving,
    /// The attempt fails.
    Failed(Failure),
    /// Nothing can run here, whoever's it is: others may have it.
    Unfit,
}

/// Pause before room on the disk is looked for again.
const ROOM_PAUSE: Duration = Duration::from_millis(200);

/// A slot's thread, and what it owns.
struct Slot {
    seat: usize,
    shared: Arc<Shared>,
    commands: mpsc::UnboundedReceiver<Command>,
    warm: Option<Warm>,
    /// Containers that are being removed.
    leaving: JoinSet<()>,
}

/// Starts a slot's thread.
pub(crate) fn spawn(
    seat: usize,
    shared: Arc<Shared>,
    commands: mpsc::UnboundedReceiver<Command>,
) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let slot = Slot { seat, shared, commands, warm: None, leaving: JoinSet::new() };
    std::thread::Builder::new().name(format!("slot-{seat}")).spawn(move || runtime.block_on(slot.run()))
}

impl Slot {
    async fn run(mut self) {
        loop {
            let next = self.shared.queue().next(self.seat, Instant::now());
            match next {
                Next::Offer(offer) if self.shared.is_short_of_room() => self.wait_for_room(&offer).await,
                Next::Offer(offer) => self.serve(offer).await,
                Next::Wait(until) => self.rest(until).await,
                Next::Close => break,
            }
        }
        self.retire();
        while self.leaving.join_next().await.is_some() {}
    }

    /// Nothing to do: sleeps until there is, or until the warm container has been idle for too long or ends by itself.
    async fn rest(&mut self, until: Option<Instant>) {
        let cool = self.warm.as_ref().map(|warm| warm.idle_since() + self.shared.options.idle);
        let alarm = [until, cool].into_iter().flatten().min();
        let ended = async {
            match &self.warm {
                Some(warm) => warm.ended().await,
                None => std::future::pending().await,
            }
        };
        let ended = tokio::select! {
            _ = self.commands.recv() => false,
            () = self.shared.exit.cancelled() => false,
            () = sleep_until(alarm.unwrap_or_else(Instant::now).into()), if alarm.is_some() => false,
            Some(_) = self.leaving.join_next(), if !self.leaving.is_empty() => false,
            () = ended => true,
        };
        if ended {
            debug!(seat = self.seat, "an idle container ended");
        }
        if ended || cool.is_some_and(|cool| cool <= Instant::now()) {
            self.retire();
        }
    }

    /// The disk is full: whatever there is to do waits, and the warm container with it.
    async fn wait_for_room(&mut self, offer: &Offer) {
        // Others would find no room either, and whatever is asked back is found where it waits.
        let wake = self.shared.queue().decline(self.seat, offer);
        self.shared.wake(wake);
        tokio::select! {
            () = tokio::time::sleep(ROOM_PAUSE) => {}
            () = self.shared.exit.cancelled() => return,
        }
        if self.shared.is_short_of_room() && !self.shared.options.fitness.is_fit() {
            // The coordinator knows: others may have it.
            self.end(offer, Ended::Returned).await;
        }
    }

    /// Runs this attempt and whatever fits the same container after it.
    async fn serve(&mut self, offer: Offer) {
        match self.make_ready(&offer).await {
            Ok(()) => {}
            Err(NotReady::Leaving) => return,
            Err(NotReady::Failed(failure)) => return self.end(&offer, Ended::Failure(failure)).await,
            Err(NotReady::Unfit) => return self.end(&offer, Ended::Returned).await,
        }
        let Some(warm) = &mut self.warm else { return };
        let verdict = if offer.key.is_server() {
            requests::run(self.seat, &self.shared, warm, &mut self.commands, offer).await
        } else {
            pipeline::run(self.seat, &self.shared, warm, &mut self.commands, offer).await
        };
        if verdict == Verdict::Retire {
            self.retire();
        }
    }

    /// Sees to it that the warm container is right for this attempt.
    async fn make_ready(&mut self, offer: &Offer) -> Result<(), NotReady> {
        if self.warm.as_ref().is_some_and(|warm| warm.serves(offer)) {
            return Ok(());
        }
        let container = key::container(&offer.work.stage);
        let image = tokio::select! {
            image = self.shared.images.of(&*self.shared.runtime, &offer.work, &container) => image,
            () = self.shared.exit.cancelled() => return Err(NotReady::Leaving),
        };
        let image = match image {
            Ok(image) => image,
            Err(error) => {
                // A registry that cannot be reached says nothing of the engine.
                if matches!(error, ImageError::Engine { .. } | ImageError::NoRoom { .. }) {
                    self.blame_the_engine().await?;
                }
                return Err(NotReady::Failed(failures::of_image(&error)));
            }
        };
        if let Some(warm) = &mut self.warm
            && warm.admit(offer, &image)
        {
            return Ok(());
        }
        self.drop_warm();
        let started = tokio::select! {
            started = Warm::start(&self.shared, offer, image) => started,
            () = self.shared.too_late() => return Err(NotReady::Leaving),
        };
        match started {
            Ok(warm) => {
                self.warm = Some(warm);
                Ok(())
            }
            Err(error) => {
                warn!(seat = self.seat, image = container.image, %error, "a container cannot be started");
                if matches!(error, StartError::Engine(_)) {
                    self.blame_the_engine().await?;
                }
                Err(NotReady::Failed(failures::of_start(&error)))
            }
        }
    }

    /// The engine has failed: it is given a pause, and tried. An item is not to blame where nothing can run at all.
    async fn blame_the_engine(&self) -> Result<(), NotReady> {
        let is_fit = async {
            let is_fit = self.shared.options.fitness.make_sure(TRIAL).await;
            tokio::time::sleep(ENGINE_PAUSE).await;
            is_fit
        };
        tokio::select! {
            is_fit = is_fit => if is_fit { Ok(()) } else { Err(NotReady::Unfit) },
            () = self.shared.exit.cancelled() => Ok(()),
        }
    }

    /// The attempt ends so without having run.
    async fn end(&mut self, offer: &Offer, ended: Ended) {
        let mine = {
            let mut queue = self.shared.queue();
            if self.warm.is_none() {
                queue.vacate(self.seat);
            }
            let is_ours = matches!(&ended, Ended::Failure(failure) if failure.class() == FailureClass::Infrastructure);
            if is_ours && self.shared.is_short_of_room() {
                // It is tried again when there is room.
                let wake = queue.decline(self.seat, offer);
                drop(queue);
                return self.shared.wake(wake);
            }
            queue.claim(self.seat, offer) && queue.finish(offer)
        };
        if mine {
            self.shared.report(offer.work.ended(ended)).await;
        }
    }

    /// The warm container goes, and the seat is free for any other.
    fn retire(&mut self) {
        self.drop_warm();
        self.shared.queue().vacate(self.seat);
    }

    /// Begins to remove the warm container.
    fn drop_warm(&mut self) {
        if let Some(warm) = self.warm.take() {
            self.leaving.spawn(warm.remove(Arc::clone(&self.shared)));
        }
    }
}
