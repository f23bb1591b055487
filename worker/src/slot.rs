//! One slot: room for one attempt, and the warm container it keeps for the next.
//!
//! ```text
//! resting ──offer──► warm for it? ──no──► retire the old one, start another ──┐
//!    ▲                   └──yes──► pipeline of runs (files), or requests (http) ◄─┘
//!    └──────── nothing more that fits this container ◄──────┘
//! ```
//!
//! Attempts whose containers would be the same share one, also across jobs; `isolation: container` gives each its own.
//! The shim ends every process of a run before the next begins. A run does not find the inputs of later ones and the
//! outputs of earlier ones, whose directories have names that cannot be guessed; only where the inside runs as the
//! worker's own user could it list them, and so a run of another job begins only when those before it are collected.

use std::{
    io,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use longshore_proto::v1::Failure;
use tokio::{sync::mpsc, task::JoinSet, time::sleep_until};
use tracing::{debug, warn};

use crate::{
    contract::failures,
    runtime::{ImageError, StartError},
    work::Ended,
};

mod images;
mod key;
mod pace;
mod pipeline;
mod plan;
mod queue;
mod requests;
mod shared;
mod warm;

pub(crate) use images::Images;
pub(crate) use queue::Queue;
use queue::{Next, Offer};
pub use shared::Options;
pub(crate) use shared::{Command, Shared};
pub(crate) use warm::has_read_only_inputs;
use warm::{Verdict, Warm};

/// Pause after the engine failed, before it is asked again.
const ENGINE_PAUSE: Duration = Duration::from_secs(1);

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

    /// Runs this attempt and whatever fits the same container after it.
    async fn serve(&mut self, offer: Offer) {
        if let Err(failure) = self.make_ready(&offer).await {
            if let Some(failure) = failure {
                self.fail(&offer, failure).await;
            }
            return;
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

    /// Sees to it that the warm container is right for this attempt. An error without a failure means that the executor
    /// is shutting down.
    async fn make_ready(&mut self, offer: &Offer) -> Result<(), Option<Failure>> {
        if self.warm.as_ref().is_some_and(|warm| warm.serves(offer)) {
            return Ok(());
        }
        let container = key::container(&offer.work.stage);
        let image = tokio::select! {
            image = self.shared.images.of(&*self.shared.runtime, offer.work.job, &container.image) => image,
            () = self.shared.exit.cancelled() => return Err(None),
        };
        let image = match image {
            Ok(image) => image,
            Err(error) => {
                if matches!(error, ImageError::Engine { .. }) {
                    self.pause().await;
                }
                return Err(Some(failures::of_image(&error)));
            }
        };
        if let Some(warm) = &mut self.warm
            && warm.admit(offer, &image)
        {
            return Ok(());
        }
        self.drop_warm();
        match Warm::start(&self.shared, offer, image).await {
            Ok(warm) => {
                self.warm = Some(warm);
                Ok(())
            }
            Err(error) => {
                warn!(seat = self.seat, image = container.image, %error, "a container cannot be started");
                if matches!(error, StartError::Engine(_)) {
                    self.pause().await;
                }
                Err(Some(failures::of_start(&error)))
            }
        }
    }

    async fn pause(&self) {
        tokio::select! {
            () = tokio::time::sleep(ENGINE_PAUSE) => {}
            () = self.shared.exit.cancelled() => {}
        }
    }

    /// The attempt fails without having run.
    async fn fail(&mut self, offer: &Offer, failure: Failure) {
        let mine = {
            let mut queue = self.shared.queue();
            if self.warm.is_none() {
                queue.vacate(self.seat);
            }
            queue.claim(self.seat, offer) && queue.finish(offer)
        };
        if mine {
            self.shared.report(offer.work.ended(Ended::Failure(failure))).await;
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
