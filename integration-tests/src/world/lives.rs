//! Several processes that are one worker: its directory was copied. What the core makes of them is held against what is so.

use longshore_core::{Incarnation, Input};

use super::{
    agenda::Event,
    oracle::{Check, demand},
    state::World,
    worker,
};

/// Copies in one world; in some a whole swarm.
const COPIES: usize = 2;
const SWARM: usize = 6;

impl World {
    /// A worker's directory is copied, with all that is in it, and a process started in the copy.
    pub(super) fn worker_is_copied(&mut self, number: usize) {
        let copies = self.workers.iter().filter(|worker| worker.is_copy).count();
        let most = if self.seed.is_multiple_of(3) { SWARM } else { COPIES };
        if copies >= most {
            return;
        }
        self.coverage.saw("a copy of a worker");
        let (of, copy) = (number, self.workers.len());
        self.say(|| format!("worker {copy} is a copy of worker {of}"));
        self.workers.push(self.workers[number].copy());
        let at_ms = self.now_ms + self.dice.between(1, 500);
        self.agenda.plan(at_ms, Event::WorkerStarts(copy));
    }

    /// All processes but one of each worker are ended, and not started again.
    pub(super) fn copies_end(&mut self) {
        for copy in 0..self.workers.len() {
            if !self.workers[copy].is_copy {
                continue;
            }
            let told = self.dice.chance(50);
            self.worker_dies(copy, told);
            self.workers[copy].forsaken = true;
        }
    }

    /// What a step of the core says of lives agrees with how they are.
    pub(super) fn lives_are_treated_right(&mut self, offset_ms: u64, input: &Input) -> Check {
        for blamed in self.oracle.take_blamed() {
            let lives = self.process_of(blamed).is_some();
            demand!(!lives, "items are suspected of having taken down {blamed}, which lives");
            let mut lives = self.workers.iter().enumerate();
            let left =
                lives.any(|(number, it)| it.left.iter().any(|life| worker::incarnation(number, *life) == blamed));
            demand!(!left, "items are suspected of having taken down {blamed}, which ended in order");
        }
        for silent in self.oracle.take_silent() {
            let kept = self.process_of(silent).is_some_and(|worker| worker.is_kept(self.now_ms));
            demand!(!kept, "the lease of {silent} is over, which holds itself counted on");
        }
        if let Input::Heard { incarnation, as_of_ms, .. } = input
            && let Some(worker) = self.process_of(*incarnation).filter(|worker| !worker.is_old)
        {
            let as_of_ms = as_of_ms.saturating_sub(offset_ms);
            demand!(as_of_ms <= worker.reached_ms, "{incarnation} was not reached since {} ms", worker.reached_ms);
        }
        Ok(())
    }

    /// The process that is this life, if it lives.
    fn process_of(&self, life: Incarnation) -> Option<&worker::Worker> {
        let numbered = self.workers.iter().enumerate();
        let mut living =
            numbered.filter(|(number, worker)| worker.up && worker::incarnation(*number, worker.life) == life);
        living.next().map(|(_, worker)| worker)
    }
}
