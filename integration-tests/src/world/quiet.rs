//! Whether everything has come to an end, as it must when nothing goes wrong any more.

use longshore_core::{Core, JobState, ReplicaPhase};

use super::{
    agenda::Event,
    count,
    fault::Fault,
    oracle::{Check, demand},
    script::{Course, Script},
    state::World,
};

/// How often, once faults have ended, it is seen whether everything has.
const LOOK_MS: u64 = 500;
/// Once faults have ended, the longest time in which nothing gets any nearer to its end.
const PATIENCE_MS: u64 = 60_000;
/// How long after the end of faults everything has to have ended.
const LONGEST_MS: u64 = 7_200_000;

impl World {
    pub(super) fn looks_around(&mut self) -> Check {
        match self.everything_ended() {
            Ok(()) => self.done = true,
            Err(why) => {
                let healed_ms = self.profile.heal_ms;
                let (late, idle) =
                    (self.now_ms > healed_ms + LONGEST_MS, self.now_ms > healed_ms.max(self.progress_ms) + PATIENCE_MS);
                demand!(!late, "faults are long over and still {why}");
                demand!(!idle, "faults are over, nothing moves, and still {why}");
                self.agenda.plan(self.now_ms + LOOK_MS, Event::LooksAround);
            }
        }
        Ok(())
    }

    /// Nothing is lost, and a coordinator that started now would know the same.
    pub(super) fn last_look(&mut self) -> Check {
        self.everything_ended()?;
        self.count_innocents()?;
        let kept = self.disk.kept();
        self.oracle.promises.hold(kept)?;
        let Some(coordinator) = &self.coordinator else {
            return Ok(());
        };
        let now = self.time(coordinator.offset_ms);
        let epoch = coordinator.epoch + 1;
        let again = Core::load(epoch, self.profile.settings, now, kept.records());
        demand!(again.ledger() == coordinator.core().ledger(), "the ledger after another start is not the ledger now");
        Ok(())
    }

    /// Items that would have succeeded but were given up with workers they happened to be on: the price of giving up
    /// poison, to be watched.
    fn count_innocents(&mut self) -> Check {
        for outcome in self.disk.kept().failures() {
            let script = Script::of(self.seed, &self.profile, &outcome.item);
            if script.course == Course::Succeeds {
                self.coverage.saw("an innocent item given up");
                let something_died = self.profile.nasty > 0 || self.profile.faults.iter().any(|fault| fault.kills());
                let lied = self.profile.faults.contains(&Fault::Lie);
                demand!(something_died || lied, "an innocent item is given up though nothing died: {:?}", outcome.item);
            }
        }
        Ok(())
    }

    fn everything_ended(&self) -> Check {
        let waiting = self.clients.iter().position(|it| !it.is_content());
        demand!(waiting.is_none(), "client {waiting:?} waits");
        let coordinator = self.coordinator.as_ref().ok_or("there is no coordinator")?;
        demand!(coordinator.drive.is_idle(), "the coordinator has things to say");
        self.jobs_ended(coordinator.core())?;
        self.workers_are_idle(coordinator.core())?;
        self.services_are_ready(coordinator.core())
    }

    fn jobs_ended(&self, core: &Core) -> Check {
        for job in core.ledger().jobs() {
            let id = job.record.id;
            let state = job.record.state;
            let counts = count::stages(self.disk.kept(), id);
            demand!(state.has_ended(), "job {id} runs: {counts:?} {:?}", core.job_view(id));
            let cut = state == JobState::Cancelled || job.record.cut.is_some();
            let all = cut || count::is_spent(&counts);
            demand!(all, "job {id} is {state:?} with items left: {counts:?}");
        }
        let held = self.oracle.held_items();
        demand!(held == 0, "{held} items are held");
        Ok(())
    }

    fn workers_are_idle(&self, core: &Core) -> Check {
        for (number, worker) in self.workers.iter().enumerate() {
            if worker.forsaken || self.disk.kept().is_revoked(worker.id) {
                continue;
            }
            demand!(worker.up && worker.welcomed, "worker {number} is not back");
            demand!(worker.is_idle(), "worker {number} has something to do: {worker:?}");
        }
        for view in core.worker_views() {
            demand!(view.attempts == 0, "{} holds attempts", view.id);
        }
        Ok(())
    }

    fn services_are_ready(&self, core: &Core) -> Check {
        let mut wanted = 0;
        for service in core.ledger().services().filter(|it| it.plan.is_some()) {
            let view = core.service_view(&service.name).ok_or("a service is not shown")?;
            for replica in view.replicas {
                let ready = replica.reachable && replica.phase == ReplicaPhase::Ready;
                demand!(ready, "{} is not ready: {replica:?}", replica.key);
                let on = replica.worker.map(|(worker, _)| worker);
                let keeps = self.workers.iter().find(|it| Some(it.id) == on && it.up);
                let phase = keeps.and_then(|it| it.replicas.get(&replica.key));
                demand!(phase == Some(&ReplicaPhase::Ready), "{} is {phase:?}", replica.key);
                wanted += 1;
            }
        }
        let known = self.workers.iter().filter(|it| !self.disk.kept().is_revoked(it.id));
        let kept: usize = known.map(|it| it.replicas.len()).sum();
        demand!(kept == wanted, "{kept} replicas are kept, {wanted} wanted");
        Ok(())
    }
}
