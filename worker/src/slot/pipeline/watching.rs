//! During a run: what it has written is looked at, and a run over a bound is ended.

use std::time::Instant;

use longshore_proto::v1::Failure;
use longshore_shim::ToShim;

use super::{Broken, Fate, Pipeline, SILENCE, TICK};

impl Pipeline<'_> {
    /// Begins a look at the run that goes on, once it has done so for a tick.
    pub(super) fn begin_to_look(&mut self, now: Instant) {
        let Some(first) = self.running.front().filter(|first| first.over.is_none() && first.fate == Fate::Report)
        else {
            return;
        };
        let long = first.started.is_some_and(|started| now.duration_since(started) >= TICK);
        if !long || !self.looks.may_begin(now) {
            return;
        }
        // Without descriptors the next tick will do.
        if let Ok(sight) = self.warm.temporary.sight_with(&first.tray, first.plan.limits()) {
            self.looks.begin(first.seq, sight);
        }
    }

    /// A look has ended. A run over a bound is ended at once.
    pub(super) async fn heed(&mut self, over: Option<(u64, Failure)>) -> Result<(), Broken> {
        let Some((seq, failure)) = over else { return Ok(()) };
        let Some(first) = self.running.front_mut().filter(|first| first.seq == seq) else { return Ok(()) };
        first.over = Some(failure);
        first.deadline = Some(Instant::now() + SILENCE);
        self.warm.shim.send(&ToShim::Stop { seq, grace_ms: 0 }).await?;
        Ok(())
    }
}
