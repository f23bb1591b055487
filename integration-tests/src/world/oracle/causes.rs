//! What an input gives the core cause to write: each outcome and each trouble needs one, and each cause is used up.

use std::collections::{BTreeMap, BTreeSet};

use longshore_core::{
    AttemptId, Blame, End, Fault, Finished, Incarnation, Input, ItemKey, MembersInput, Now, Record, WorkerId,
};

use super::{
    check::{Check, demand},
    state::{Oracle, Seen},
};
use crate::world::{coverage::Coverage, script::detail_of};

/// Why an item's outcome or trouble may be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cause {
    /// The attempt that may commit has succeeded.
    Succeeded { outputs: u64, detail: Vec<u8> },
    /// It has failed.
    Failed { worker: WorkerId, blame: Blame, fault: Fault, detail: Vec<u8> },
    /// It was likely running on a worker that went down.
    Suspect(Fall),
    /// It was likely running on a worker that fell silent, or was taken over, and which has now come back as another life: only
    /// counted.
    SuspectLater(Fall),
}

/// Where a worker went down with an item, and what that says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fall {
    pub(super) worker: WorkerId,
    /// Nothing else was likely running there.
    pub(super) alone: bool,
    /// That life has certainly ended.
    pub(super) proven: bool,
    /// Another worker that may have the item is here, or expected back.
    pub(super) others: bool,
}

/// How a worker goes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// It says so.
    Goodbye,
    /// It has ended, and another life was started where it was.
    Restart,
    /// Another life takes its place, which cannot say that it has ended.
    Takeover,
    /// Its lease runs out.
    Silence,
}

pub(super) type Causes = BTreeMap<ItemKey, Cause>;

impl Oracle {
    /// The causes in this step's input. Attempts it ends or fences hold nothing from here on.
    pub(super) fn causes(&mut self, seen: Seen<'_>, coverage: &mut Coverage) -> Result<Causes, String> {
        let mut causes = Causes::new();
        self.listen(seen.input);
        let lost = self.lost_by(seen.input, seen.now);
        self.workers_gone_are(seen, &lost, coverage)?;
        for (worker, loss) in lost {
            self.lose(worker, loss, &mut causes, coverage);
        }
        if let Input::Hello { worker, incarnation, previous, held, .. } = seen.input
            && !self.live.is_revoked(*worker)
        {
            // Before its records, since a job may end with the last that it does not have any more.
            let has: BTreeSet<AttemptId> = held.iter().map(|held| held.id).collect();
            self.holders.retain(|_, (id, holder)| *holder != *worker || has.contains(id));
            self.comes_back(*worker, (*incarnation, *previous), &mut causes, coverage);
        }
        if let Input::Finished { worker, incarnation, results } = seen.input {
            self.ends(*worker, *incarnation, results, &mut causes, coverage);
        }
        Ok(causes)
    }

    /// Whoever can be reached lives.
    fn listen(&mut self, input: &Input) {
        match input {
            Input::Heard { worker, incarnation, as_of_ms } => {
                if let Some(known) = self.known(*worker, *incarnation) {
                    known.heard_ms = known.heard_ms.max(*as_of_ms);
                }
            }
            Input::LinkLost { worker, incarnation } => {
                if let Some(known) = self.known(*worker, *incarnation) {
                    known.connected = false;
                    self.told.remove(worker);
                }
            }
            _ => {}
        }
    }

    /// What ran on a silent worker is suspect only now, if it went down.
    fn comes_back(
        &mut self,
        worker: WorkerId,
        (incarnation, previous): (Incarnation, Option<Incarnation>),
        causes: &mut Causes,
        coverage: &mut Coverage,
    ) {
        let Some((silent, items)) = self.suspects.remove(&worker) else { return };
        let (proven, alone) = (Some(silent) == previous, items.len() == 1);
        if silent == incarnation || !proven && !alone {
            return;
        }
        if proven {
            self.blamed.push(silent);
        }
        for item in items {
            if self.item_may_change(&item).is_ok() {
                coverage.saw(if proven { "a suspect found later" } else { "an item that may have ended a machine" });
                let others = self.has_others(worker, &item);
                causes.insert(item, Cause::SuspectLater(Fall { worker, alone, proven, others }));
            }
        }
    }

    fn has_others(&self, worker: WorkerId, item: &ItemKey) -> bool {
        let here = self.workers.keys().any(|other| *other != worker && self.may_have(*other, item).is_ok());
        let namespace = self.live.job(item.job).map(|job| job.namespace.name().to_owned()).unwrap_or_default();
        let expected = |other: &WorkerId| {
            let some = self.live.member(*other).map(|member| &member.namespaces).filter(|some| !some.is_empty());
            *other != worker && some.is_none_or(|some| some.iter().any(|one| one.name() == namespace))
        };
        here || self.missed.iter().any(expected)
    }

    /// Workers this input ends the lease of, and how.
    fn lost_by(&self, input: &Input, now: Now) -> Vec<(WorkerId, Loss)> {
        let is = |worker: &WorkerId, incarnation: &Incarnation| {
            self.workers.get(worker).map(|known| known.incarnation == *incarnation)
        };
        match input {
            Input::Hello { worker, .. } if self.live.is_revoked(*worker) => Vec::new(),
            Input::Hello { worker, incarnation, previous, .. } if is(worker, incarnation) == Some(false) => {
                let known = self.workers.get(worker).map(|known| known.incarnation);
                vec![(*worker, if known == *previous { Loss::Restart } else { Loss::Takeover })]
            }
            Input::Goodbye { worker, incarnation } if is(worker, incarnation) == Some(true) => {
                vec![(*worker, Loss::Goodbye)]
            }
            Input::Members { ask: MembersInput::RemoveWorker { worker, revoke: true }, .. }
                if self.live.member(*worker).is_some() && self.workers.contains_key(worker) =>
            {
                vec![(*worker, Loss::Goodbye)]
            }
            Input::Tick => self
                .workers
                .iter()
                .filter(|(_, known)| now.steady_ms - known.heard_ms > self.settings.lease_ms)
                .map(|(worker, _)| (*worker, Loss::Silence))
                .collect(),
            _ => Vec::new(),
        }
    }

    /// The core counts exactly those workers as gone that are, and those that did not come back after its start.
    fn workers_gone_are(&mut self, seen: Seen<'_>, lost: &[(WorkerId, Loss)], coverage: &mut Coverage) -> Check {
        let mut expected: BTreeSet<WorkerId> = lost.iter().map(|(worker, _)| *worker).collect();
        if matches!(seen.input, Input::Tick) && seen.now.steady_ms >= self.reunion_until_ms {
            for worker in std::mem::take(&mut self.missed) {
                coverage.saw("a worker missed after a coordinator crash");
                expected.insert(worker);
            }
        }
        if let Input::Members { ask: MembersInput::RemoveWorker { worker, .. }, .. } = seen.input
            && self.is_out(seen, *worker)
            && self.missed.remove(worker)
        {
            coverage.saw("a worker removed that was waited for");
            expected.insert(*worker);
        }
        let gone: BTreeSet<WorkerId> = seen
            .out
            .records
            .iter()
            .filter_map(|record| match record {
                Record::WorkerGone(worker) => Some(*worker),
                _ => None,
            })
            .collect();
        demand!(gone == expected, "workers gone are {expected:?}, the core says {gone:?}");
        if matches!(seen.input, Input::Tick) && !lost.is_empty() {
            coverage.saw("a lease that ran out");
        }
        Ok(())
    }

    fn lose(&mut self, worker: WorkerId, loss: Loss, causes: &mut Causes, coverage: &mut Coverage) {
        let Some(known) = self.workers.remove(&worker) else { return };
        match loss {
            Loss::Restart => self.blamed.push(known.incarnation),
            Loss::Silence => self.silent.push(known.incarnation),
            Loss::Takeover => coverage.saw("a life taken over"),
            Loss::Goodbye => {}
        }
        let mut running = Vec::new();
        for (nth, (id, item)) in (0_u64..).zip(self.held_by(worker)) {
            self.holders.remove(&item);
            self.alone.remove(&id);
            if nth < known.slots {
                running.push(item);
            }
        }
        let alone = running.len() == 1;
        for item in &running {
            let fall = Fall { worker, alone, proven: loss == Loss::Restart, others: self.has_others(worker, item) };
            match loss {
                Loss::Restart => causes.insert(*item, Cause::Suspect(fall)),
                Loss::Takeover if alone => causes.insert(*item, Cause::SuspectLater(fall)),
                _ => None,
            };
        }
        if loss == Loss::Silence {
            self.suspects.insert(worker, (known.incarnation, running));
        }
        self.told.remove(&worker);
        let before = self.placed.len();
        self.placed.retain(|_, on| *on != worker);
        if self.placed.len() < before {
            coverage.saw("a replica placed again");
        }
    }

    fn ends(
        &mut self,
        worker: WorkerId,
        incarnation: Incarnation,
        results: &[Finished],
        causes: &mut Causes,
        coverage: &mut Coverage,
    ) {
        if self.known(worker, incarnation).is_none() {
            return;
        }
        for result in results {
            if !self.heard_of.insert(result.id) {
                coverage.saw("a completion repeated");
            }
            if self.holders.get(&result.item) != Some(&(result.id, worker)) {
                self.hear_a_lie(worker, result, coverage);
                if self.outcome_is_not_of(result.id, &result.item) {
                    coverage.saw("a late completion discarded");
                }
                continue;
            }
            self.holders.remove(&result.item);
            match &result.end {
                End::Returned => coverage.saw("an attempt returned"),
                End::Succeeded { outputs, detail } => {
                    let (outputs, detail) = (*outputs, detail.clone());
                    causes.insert(result.item, Cause::Succeeded { outputs, detail });
                }
                End::Failed { blame, fault, detail } => {
                    let (blame, fault, detail) = (*blame, *fault, detail.clone());
                    causes.insert(result.item, Cause::Failed { worker, blame, fault, detail });
                }
            }
        }
    }

    /// What is said of another attempt than the worker holds changes nothing; what is said of another item than the
    /// attempt's ends the attempt, and changes nothing else.
    fn hear_a_lie(&mut self, worker: WorkerId, result: &Finished, coverage: &mut Coverage) {
        if result.id.epoch < self.epoch {
            coverage.saw("a result of an attempt of an old epoch");
        }
        // By what is held, not by what was given out: a false claim that was believed is held too.
        let held = self.holders.iter().find(|(_, holder)| **holder == (result.id, worker)).map(|(item, _)| *item);
        if let Some(item) = held {
            coverage.saw(if self.live.job(result.item.job).is_none() {
                "a result for a job that is not there"
            } else if !self.has(&result.item) {
                "a result for an item that is not there"
            } else if self.live.outcome(&result.item).is_some() {
                "a result for an item that has ended"
            } else {
                "a result for an item that is not the attempt's"
            });
            self.holders.remove(&item);
            return;
        }
        match self.given.get(&result.id) {
            None => coverage.saw("a result of an attempt that was never given out"),
            Some((_, holder)) if *holder != worker => coverage.saw("a result of an attempt of another worker"),
            Some(_) => {}
        }
    }

    fn outcome_is_not_of(&self, id: AttemptId, item: &ItemKey) -> bool {
        self.live.outcome(item).is_none_or(|outcome| outcome.detail != detail_of(id))
    }
}
