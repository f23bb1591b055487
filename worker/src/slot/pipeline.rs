//! The runs of one container, one after the other without a gap: while the shim carries out a run, the next ones wait in
//! it (as many as the pace says), the one after them has its input in place, and the one before has its outputs collected.
//!
//! ```text
//! queue ──offer──► ahead (input in place) ──claim──► running (in the shim, in order) ──Done──► collected ──► reported
//!                        └ no longer there to claim: input removed
//! ```

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use longshore_proto::v1::{Failure, FailureClass};
use longshore_shim::{FromShim, ToShim};
use tokio::{sync::mpsc, time::MissedTickBehavior};

use super::{
    looks::Looks,
    plan::StagePlan,
    queue::Offer,
    shared::{Command, Shared},
    warm::{Verdict, Warm},
};
use crate::{
    contract::{Tray, failures, inputs::Staged},
    runtime::ShimLost,
    work::WorkId,
};

mod ending;
mod preparing;
mod watching;

/// How often time is looked at.
const TICK: Duration = Duration::from_millis(100);

/// Beyond its time and grace a run has so long to be reported by the shim.
const SILENCE: Duration = Duration::from_secs(10);

/// An attempt the shim has.
struct Running {
    seq: u64,
    offer: Offer,
    plan: Arc<StagePlan>,
    staged: Staged,
    tray: Tray,
    fate: Fate,
    /// When it became first in line.
    started: Option<Instant>,
    /// When it must have been reported.
    deadline: Option<Instant>,
    /// It was found over a bound while it ran, and is being ended.
    over: Option<Failure>,
}

/// What becomes of a run's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Report,
    /// Nobody wants to hear of it.
    Forget,
    /// It was called back before its turn: it is given back.
    GiveBack,
    /// It was called back before its turn: another slot shall have it.
    PutBack,
}

/// An attempt whose input is in place.
struct Ahead {
    offer: Offer,
    plan: Arc<StagePlan>,
    staged: Staged,
}

type Staging = BoxFuture<'static, Result<Staged, Failure>>;

struct Pipeline<'a> {
    seat: usize,
    shared: &'a Arc<Shared>,
    warm: &'a mut Warm,
    running: VecDeque<Running>,
    ahead: Option<Ahead>,
    /// An attempt whose input is on its way.
    staging: Option<(Offer, Arc<StagePlan>, Staging)>,
    looks: Looks,
    /// No more work for this container.
    closing: bool,
}

/// Why the pipeline stopped before it was empty.
enum Broken {
    /// The shim no longer answers.
    Lost(ShimLost),
    /// A run was not reported in time.
    Silent,
    /// The container cannot be trusted with another run.
    Spoilt,
    /// The executor is shutting down.
    Exit,
}

impl From<ShimLost> for Broken {
    fn from(lost: ShimLost) -> Self {
        Self::Lost(lost)
    }
}

/// Runs this attempt and whatever comes for the same container, until nothing does.
pub(super) async fn run(
    seat: usize,
    shared: &Arc<Shared>,
    warm: &mut Warm,
    commands: &mut mpsc::UnboundedReceiver<Command>,
    first: Offer,
) -> Verdict {
    let (running, ahead, staging) = (VecDeque::new(), None, None);
    let looks = Looks::new();
    let mut pipeline = Pipeline { seat, shared, warm, running, ahead, staging, looks, closing: false };
    let outcome = pipeline.drive(first, commands).await;
    pipeline.leave();
    if let Err(broken) = outcome {
        pipeline.give_up(broken).await;
        return Verdict::Retire;
    }
    pipeline.warm.touch();
    let options = &shared.options;
    if pipeline.closing || !pipeline.warm.is_fit(options.max_age, options.max_runs) {
        Verdict::Retire
    } else {
        Verdict::Keep
    }
}

impl Pipeline<'_> {
    async fn drive(&mut self, first: Offer, commands: &mut mpsc::UnboundedReceiver<Command>) -> Result<(), Broken> {
        let shim = Arc::clone(&self.warm.shim);
        // Kept over the rounds: a future that is dropped half-way may have taken a frame with it.
        let mut receive = shim.receive();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.prepare(first).await;
        loop {
            self.fill().await?;
            if self.running.is_empty() && self.staging.is_none() {
                return Ok(());
            }
            tokio::select! {
                frame = &mut receive => {
                    let (frame, _) = frame?;
                    receive = shim.receive();
                    self.hear(frame).await?;
                }
                Some(command) = commands.recv() => self.obey(command).await?,
                staged = staging(&mut self.staging) => self.arrived(staged).await,
                over = self.looks.over() => self.heed(over).await?,
                _ = tick.tick() => self.look_at_the_time().await?,
                () = self.shared.exit.cancelled() => return Err(Broken::Exit),
            }
        }
    }

    /// Hands the shim what it has room for, and prepares one more.
    async fn fill(&mut self) -> Result<(), Broken> {
        loop {
            if self.shared.is_short_of_room() {
                // What is prepared is left to whoever finds room first.
                self.leave();
                return Ok(());
            }
            if self.ahead.is_some() && self.running.len() < self.warm.window() {
                self.launch().await?;
            } else if self.ahead.is_some() || self.staging.is_some() || !self.prepare_next().await {
                return Ok(());
            }
        }
    }

    /// Claims the attempt whose input is in place, and gives it to the shim.
    async fn launch(&mut self) -> Result<(), Broken> {
        let Some(Ahead { offer, plan, staged }) = self.ahead.take() else { return Ok(()) };
        if !self.shared.queue().claim(self.seat, &offer) {
            self.warm.dirs.inputs.clear(staged);
            return Ok(());
        }
        let seq = self.warm.begin();
        let asked = plan.asked(&offer.work, &self.warm.paths);
        let (run, tray, stdout) = match self.warm.dirs.furnish(&plan.runs, seq, &asked, &staged) {
            Ok(furnished) => furnished,
            Err(failure) => {
                self.warm.dirs.inputs.clear(staged);
                self.report_unstarted(&offer, failure).await;
                return Ok(());
            }
        };
        if let Err(lost) = self.warm.shim.send_with(&ToShim::Run(run), stdout.as_ref()).await {
            self.warm.dirs.inputs.clear(staged);
            self.had_no_chance(offer, &lost).await;
            return Err(lost.into());
        }
        let (fate, started, deadline, over) = (Fate::Report, None, None, None);
        let running = Running { seq, offer, plan, staged, tray, fate, started, deadline, over };
        self.running.push_back(running);
        self.note_first();
        Ok(())
    }

    /// The first in line runs now, as far as we can know.
    fn note_first(&mut self) {
        if let Some(first) = self.running.front_mut().filter(|first| first.started.is_none()) {
            let now = Instant::now();
            let timeout = Duration::from_millis(first.plan.timeout_ms().unwrap_or_default());
            first.started = Some(now);
            if !timeout.is_zero() && first.deadline.is_none() {
                first.deadline = now.checked_add(timeout + first.plan.grace() + SILENCE);
            }
        }
    }

    async fn hear(&mut self, frame: FromShim) -> Result<(), Broken> {
        let FromShim::Done(done) = frame else {
            return Err(unexpected("a frame that answers nothing"));
        };
        let Some(position) = self.running.iter().position(|running| running.seq == done.seq) else {
            return Err(unexpected("the end of a run it was not given"));
        };
        let Some(run) = self.running.remove(position) else { return Ok(()) };
        if done.dirty {
            // Not all of the run may be dead: nothing is collected, and nothing else run, until the container is.
            if self.end_sandbox().await {
                self.conclude(run, done).await;
            } else {
                let why = "its container can neither be cleared nor removed".to_owned();
                self.settle_lost(run, failures::failure(FailureClass::Infrastructure, why)).await;
            }
            return Err(Broken::Spoilt);
        }
        self.warm.pace.note(done.usage.wall_us);
        self.note_first();
        // The shim first: what follows here is time it need not wait for.
        let filled = self.fill_shim().await;
        let clean = self.conclude(run, done).await;
        filled?;
        if clean { Ok(()) } else { Err(Broken::Spoilt) }
    }

    /// Gives the shim the next run before the outputs of the one that has just ended are collected: it is another user, as
    /// otherwise none is ahead.
    async fn fill_shim(&mut self) -> Result<(), Broken> {
        if self.ahead.is_some() && self.running.len() < self.warm.window() {
            self.launch().await?;
        }
        Ok(())
    }

    async fn obey(&mut self, command: Command) -> Result<(), Broken> {
        match command {
            Command::Wake => {}
            Command::Stop(id) => {
                if let Some(position) = self.position(id) {
                    self.call_back(position, Fate::Forget).await?;
                }
            }
            Command::GiveBack(id) => match self.position(id) {
                // The first in line has started.
                Some(0) | None => {}
                Some(position) => self.call_back(position, Fate::GiveBack).await?,
            },
        }
        Ok(())
    }

    fn position(&self, id: WorkId) -> Option<usize> {
        self.running.iter().position(|running| running.offer.work.id == id && running.fate != Fate::Forget)
    }

    async fn call_back(&mut self, position: usize, fate: Fate) -> Result<(), Broken> {
        let run = &mut self.running[position];
        let grace = if position == 0 { run.plan.grace() } else { Duration::ZERO };
        run.fate = fate;
        if fate == Fate::Forget {
            run.deadline = Some(Instant::now() + grace + SILENCE);
        }
        let grace_ms = u32::try_from(grace.as_millis()).unwrap_or(u32::MAX);
        self.warm.shim.send(&ToShim::Stop { seq: run.seq, grace_ms }).await?;
        Ok(())
    }

    async fn look_at_the_time(&mut self) -> Result<(), Broken> {
        let now = Instant::now();
        // Who has failed meanwhile is asked whether there was room.
        let _ = self.shared.is_short_of_room();
        let overdue = |run: &Running| run.deadline.is_some_and(|deadline| deadline <= now);
        if self.running.front().is_some_and(overdue) {
            return Err(Broken::Silent);
        }
        self.begin_to_look(now);
        self.share(now).await
    }

    /// Runs that wait in the shim behind one that turned out long go to idle slots.
    async fn share(&mut self, now: Instant) -> Result<(), Broken> {
        let since = self.running.front().and_then(|first| first.started);
        let stuck = self.running.len() > 1 && since.is_some_and(|since| now.duration_since(since) >= TICK);
        if !stuck || !self.shared.queue().someone_is_idle() {
            return Ok(());
        }
        for position in 1..self.running.len() {
            if self.running[position].fate == Fate::Report {
                self.call_back(position, Fate::PutBack).await?;
            }
        }
        Ok(())
    }
}

fn unexpected(what: &str) -> Broken {
    Broken::Lost(ShimLost { reason: format!("it said {what}") })
}

/// Waits for the input on its way, if there is one.
async fn staging(staging: &mut Option<(Offer, Arc<StagePlan>, Staging)>) -> Result<Staged, Failure> {
    match staging {
        Some((_, _, arriving)) => arriving.await,
        None => std::future::pending().await,
    }
}
