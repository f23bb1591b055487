//! The oracle: sees every input and every outbox, keeps its own idea of what must be true, and speaks up when it is not.
//!
//! Its idea is independent of the core: who may still commit what (`holders`) is followed from inputs and orders alone,
//! counts come from the kept outcomes, and everything a client or a worker was told is held against what a crash leaves.

mod causes;
mod check;
mod control;
mod facts;
mod members;
mod orders;
mod promises;
mod replies;
mod state;
mod views;

use longshore_core::{Core, Input, Now};

pub(crate) use self::check::demand;
pub use self::{
    check::Check,
    promises::Promises,
    state::{Oracle, Seen},
};
use super::{count, coverage::Coverage, kept::Kept};

impl Oracle {
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
        self.last.clear();
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
        self.replies(seen, coverage)?;
        Self::note_refusal(seen, coverage);
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
            let whole = job.retried.as_ref().is_none_or(|retried| retried.next.is_none());
            demand!(!(spent && whole), "{} runs but nothing of it is left", job.id);
        }
        for item in self.live.troubled() {
            let ended = self.live.outcome(&item).is_some();
            demand!(!ended, "{item:?} has ended and is in trouble");
        }
        Ok(())
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
