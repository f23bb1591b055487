//! Workers that lie: they report results of attempts they do not hold, or of other items than their attempts are for, and
//! claim in their hellos what they were not given.
//!
//! A lie is told like the truth, over the worker's link. The worker itself goes on as if it had said nothing: what it
//! holds runs to its end, and is reported too. What it claims nobody runs, until its next honest hello.

use longshore_core::{AttemptId, Blame, End, Finished, Held, ItemKey, JobId};

use super::{fault::Fault, net::Say, script::detail_of, state::World, worker::sixteen};

/// An index no item has.
const FAR: u64 = 1 << 40;

impl World {
    /// A worker tells one lie or several in one message.
    pub(super) fn worker_lies(&mut self, number: usize) {
        if !self.workers[number].up || self.workers[number].paused {
            return;
        }
        let times = self.dice.between(1, 16);
        let lies: Vec<Finished> = (0..times).filter_map(|_| self.lie(number)).collect();
        if !lies.is_empty() {
            self.tell(number, Say::Finished(lies));
        }
    }

    fn lie(&mut self, number: usize) -> Option<Finished> {
        let own = self.workers[number].has();
        let others = self.others_have(number);
        let truth = self.dice.pick(&own).copied();
        let about = self.dice.below(9);
        let (id, item) = match about {
            0 | 1 => self.dice.pick(&others).copied()?,
            2 => (self.old_attempt(), truth?.1),
            // A result for another's item counts only while both are under way: rare.
            3 | 4 => (truth?.0, self.dice.pick(&others).or(own.first())?.1),
            5 => (truth?.0, self.an_ended_item()?),
            6 => (truth?.0, ItemKey { index: FAR, ..truth?.1 }),
            7 => (truth?.0, ItemKey { stage: u16::MAX, ..truth?.1 }),
            _ => (truth?.0, ItemKey { job: JobId(sixteen(7, FAR)), ..truth?.1 }),
        };
        let detail = detail_of(id);
        let end = match self.dice.below(4) {
            0 => End::Returned,
            1 => End::Failed { blame: Blame::Hopeless, fault: longshore_core::Fault::default(), detail },
            _ => End::Succeeded { outputs: self.dice.below(4), detail },
        };
        Some(Finished { id, item, end, run_us: 1_000 })
    }

    /// What a worker claims in a hello beside what it has.
    pub(super) fn claims(&mut self, number: usize) -> Vec<Held> {
        let lies = self.profile.faults.contains(&Fault::Lie) && self.faults_are_on() && self.dice.chance(50);
        let times = if lies { self.dice.between(1, 4) } else { 0 };
        self.workers[number].claims |= times > 0;
        (0..times).filter_map(|_| self.claim(number)).collect()
    }

    fn claim(&mut self, number: usize) -> Option<Held> {
        let others = self.others_have(number);
        let (id, item) = self.dice.pick(&others).copied()?;
        let (_, other) = self.dice.pick(&others).copied()?;
        let next = ItemKey { index: item.index + self.dice.between(1, 3), ..item };
        let coming = AttemptId { number: id.number + self.dice.between(1, 40), ..id };
        let (id, item) = match self.dice.below(5) {
            0 => (id, item),
            1 => (id, other),
            2 => (id, next),
            3 => (coming, next),
            _ => (self.old_attempt(), next),
        };
        let own = self.workers[number].has();
        (!own.iter().any(|(own, _)| *own == id)).then_some(Held { id, item })
    }

    /// Every attempt that other workers have.
    fn others_have(&self, number: usize) -> Vec<(AttemptId, ItemKey)> {
        let others = self.workers.iter().enumerate().filter(|(other, _)| *other != number);
        others.flat_map(|(_, worker)| worker.has()).collect()
    }

    fn an_ended_item(&mut self) -> Option<ItemKey> {
        let kept = self.oracle.live();
        let jobs = kept.jobs().flat_map(|job| (0_u16..).zip(&job.spec.stages).map(|(stage, _)| (job.id, stage)));
        let ended: Vec<ItemKey> =
            jobs.flat_map(|(job, stage)| kept.outcomes(job, stage)).map(|outcome| outcome.item).collect();
        self.dice.pick(&ended).copied()
    }

    /// An attempt some earlier life of the coordinator may have given out to anybody, or nobody ever.
    fn old_attempt(&mut self) -> AttemptId {
        let epoch = self.coordinator.as_ref().map_or(0, |coordinator| coordinator.epoch);
        AttemptId { epoch: epoch.saturating_sub(self.dice.between(0, 1)), number: self.dice.between(1, 60) }
    }
}
