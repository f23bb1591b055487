//! The oracle: sees every input and every outbox, keeps its own idea of what must be true, and speaks up when it is not.
//!
//! Its idea is independent of the core: who may still commit what (`holders`) is followed from inputs and orders alone,
//! counts come from the kept outcomes, and everything a client or a worker was told is held against what a crash leaves.

mod causes;
mod facts;
mod orders;
mod promises;
mod views;

use std::collections::{BTreeMap, BTreeSet};

use longshore_core::{
    AttemptId, Core, Incarnation, Input, ItemKey, JobId, Now, Outbox, ReplicaKey, Settings, WorkerId,
};

pub use self::promises::Promises;
use self::views::Shown;
use super::{count, coverage::Coverage, kept::Kept};

/// What is wrong, when something is.
pub type Check = Result<(), String>;

/// Fails with a message unless the condition holds.
macro_rules! demand {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(format!($($message)+));
        }
    };
}
pub(crate) use demand;

/// One step of the core.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    /// The core after it.
    pub core: &'a Core,
    /// When.
    pub now: Now,
    /// What happened.
    pub input: &'a Input,
    /// What it answered.
    pub out: &'a Outbox,
}

/// A worker whose lease runs.
#[derive(Debug)]
struct Known {
    incarnation: Incarnation,
    slots: u64,
    connected: bool,
    heard_ms: u64,
}

/// The oracle.
#[derive(Debug)]
pub struct Oracle {
    settings: Settings,
    epoch: u64,
    /// Everything the core has decided, durable or not.
    live: Kept,
    /// Every attempt ever given out: what for, and to whom.
    given: BTreeMap<AttemptId, (ItemKey, WorkerId)>,
    /// The one attempt of an item that may commit, and who has it.
    holders: BTreeMap<ItemKey, (AttemptId, WorkerId)>,
    workers: BTreeMap<WorkerId, Known>,
    /// What likely ran on workers that fell silent, with the life they had.
    suspects: BTreeMap<WorkerId, (Incarnation, Vec<ItemKey>)>,
    /// Workers from before the start that have not come back.
    missed: BTreeSet<WorkerId>,
    reunion_until_ms: u64,
    /// What each connected worker was last told to keep.
    told: BTreeMap<WorkerId, BTreeSet<ReplicaKey>>,
    /// Where replicas were last seen.
    placed: BTreeMap<ReplicaKey, WorkerId>,
    /// Attempts whose end was heard of.
    heard_of: BTreeSet<AttemptId>,
    /// What was last shown of each job.
    shown: BTreeMap<JobId, Vec<Shown>>,
    /// What clients and workers were told.
    pub promises: Promises,
    /// By when every pause is over.
    due_ms: u64,
    steps: u64,
}

impl Oracle {
    /// An oracle of a world in which nothing has happened.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            epoch: 0,
            live: Kept::default(),
            given: BTreeMap::new(),
            holders: BTreeMap::new(),
            workers: BTreeMap::new(),
            suspects: BTreeMap::new(),
            missed: BTreeSet::new(),
            reunion_until_ms: 0,
            told: BTreeMap::new(),
            placed: BTreeMap::new(),
            heard_of: BTreeSet::new(),
            shown: BTreeMap::new(),
            promises: Promises::default(),
            due_ms: 0,
            steps: 0,
        }
    }

    /// Everything decided so far.
    #[must_use]
    pub fn live(&self) -> &Kept {
        &self.live
    }

    /// The coordinator has started from what the disk kept.
    ///
    /// # Errors
    /// What is wrong.
    pub fn loaded(&mut self, core: &Core, kept: &Kept, epoch: u64, now: Now) -> Check {
        self.epoch = epoch;
        self.due_ms = 0;
        self.live = kept.clone();
        self.holders.clear();
        self.workers.clear();
        self.suspects.clear();
        self.told.clear();
        self.placed.clear();
        self.shown.clear();
        self.missed = kept.workers().collect();
        self.reunion_until_ms = now.steady_ms + self.settings.reunion_ms;
        self.ledger_is_what_was_kept(core)?;
        self.promises.hold(&self.live)?;
        self.nothing_is_half_done()?;
        self.all_views(core)
    }

    /// The core has taken a step.
    ///
    /// # Errors
    /// What is wrong.
    pub fn stepped(&mut self, seen: Seen<'_>, coverage: &mut Coverage) -> Check {
        self.steps += 1;
        if cfg!(debug_assertions) {
            seen.core.check().map_err(|violation| violation.to_string())?;
        }
        let causes = self.causes(seen, coverage)?;
        let stops = self.facts(seen, causes, coverage)?;
        let stops = self.reconcile(seen, stops, coverage)?;
        self.orders(seen, &stops, coverage)?;
        self.replies(seen)?;
        if something_moved(seen) {
            self.views(seen)?;
            self.replicas(seen, coverage)?;
        }
        if self.steps.is_multiple_of(64) {
            self.all_views(seen.core)?;
        }
        Ok(())
    }

    /// Loading equals living, at any moment.
    ///
    /// # Errors
    /// When it does not.
    pub fn ledger_is_what_was_kept(&self, core: &Core) -> Check {
        let loaded = self.live.ledger();
        demand!(
            *core.ledger() == loaded,
            "the ledger is not what loading its records gives: {}",
            difference(&format!("{:?}", core.ledger()), &format!("{loaded:?}"))
        );
        Ok(())
    }

    /// What one outbox says is kept whole or not at all.
    fn nothing_is_half_done(&self) -> Check {
        for job in self.live.jobs().filter(|job| !job.state.has_ended()) {
            let spent = count::is_spent(&count::stages(&self.live, job.id));
            demand!(!spent, "{} runs but nothing of it is left", job.id);
        }
        for item in self.live.troubled() {
            let ended = self.live.outcome(&item).is_some();
            demand!(!ended, "{item:?} has ended and is in trouble");
        }
        Ok(())
    }

    /// Items that some attempt may still commit.
    #[must_use]
    pub fn held_items(&self) -> usize {
        self.holders.len()
    }

    fn known(&mut self, worker: WorkerId, incarnation: Incarnation) -> Option<&mut Known> {
        self.workers.get_mut(&worker).filter(|known| known.incarnation == incarnation)
    }

    /// What the worker holds, in the order it was given out.
    fn held_by(&self, worker: WorkerId) -> Vec<(AttemptId, ItemKey)> {
        let mut held: Vec<_> = self
            .holders
            .iter()
            .filter(|(_, (_, holder))| *holder == worker)
            .map(|(item, (id, _))| (*id, *item))
            .collect();
        held.sort_unstable();
        held
    }

    fn in_reunion(&self, now: Now) -> bool {
        !self.missed.is_empty() && now.steady_ms < self.reunion_until_ms
    }
}

/// Whether anything people are shown can have changed in this step.
fn something_moved(seen: Seen<'_>) -> bool {
    let quiet = matches!(seen.input, Input::Heard { .. } | Input::Tick);
    let silent = seen.out.records.is_empty() && seen.out.orders.is_empty();
    !(quiet && silent && seen.out.notices.is_empty())
}

/// Where two long texts part.
fn difference(lived: &str, loaded: &str) -> String {
    let same = lived.bytes().zip(loaded.bytes()).take_while(|(one, other)| one == other).count();
    let around = |text: &str| {
        let bytes = text.as_bytes();
        let part = &bytes[same.saturating_sub(200)..bytes.len().min(same + 100)];
        String::from_utf8_lossy(part).into_owned()
    };
    format!("\n  lived  …{}…\n  loaded …{}…", around(lived), around(loaded))
}

/// The detail by which an outcome tells its attempt.
#[must_use]
pub fn detail_of(id: AttemptId) -> Vec<u8> {
    [id.epoch.to_be_bytes(), id.number.to_be_bytes()].concat()
}
