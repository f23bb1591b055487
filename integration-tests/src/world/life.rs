//! The life of a world: event by event, until everything has ended.

use super::{agenda::Event, oracle::Check, state::World};

impl World {
    /// Lives until everything has ended.
    ///
    /// # Errors
    /// The first thing that was wrong.
    pub fn live(&mut self) -> Check {
        self.begin();
        while !self.done
            && let Some((at_ms, event)) = self.agenda.take_next()
        {
            self.now_ms = self.now_ms.max(at_ms);
            self.events += 1;
            self.happen(event)?;
        }
        self.last_look()
    }

    fn begin(&mut self) {
        self.agenda.plan(0, Event::CoordinatorStarts);
        for worker in 0..self.workers.len() {
            let at_ms = self.dice.below(1_000);
            self.agenda.plan(at_ms, Event::WorkerStarts(worker));
        }
        for client in 0..self.clients.len() {
            let at_ms = self.dice.below(2_000);
            self.agenda.plan(at_ms, Event::Client(client, 0));
        }
        if !self.profile.faults.is_empty() {
            self.plan_fault();
        }
        self.agenda.plan(self.profile.heal_ms, Event::Heals);
    }

    fn happen(&mut self, event: Event) -> Check {
        let Some(event) = self.put_off(event) else {
            return Ok(());
        };
        match event {
            Event::Client(client, turn) => self.client_acts(client, turn),
            Event::CoordinatorStarts => self.coordinator_starts(),
            Event::Tick(epoch) => self.ticks(epoch),
            Event::Pulse(epoch) => self.pulses(epoch),
            Event::Synced(epoch) => self.synced(epoch),
            Event::ArrivesUp(link) => self.arrives_up(link),
            Event::ArrivesDown(link) => self.arrives_down(link),
            Event::NoticesDeadLink(link) => self.coordinator_closes(link),
            Event::WorkerStarts(worker) => self.worker_starts(worker),
            Event::Connects(worker, life) => self.connects(worker, life),
            Event::Beats(worker, life) => self.beats(worker, life),
            Event::RunEnds(worker, life, id) => self.run_ends(worker, life, id),
            Event::GivesUp(worker, life) => {
                self.gives_up(worker, life);
                Ok(())
            }
            Event::ReplicaTurns(worker, life, key) => self.replica_turns(worker, life, &key),
            Event::WorkerResumes(worker) => self.worker_resumes(worker),
            Event::Keepalive(worker, cut) => self.keepalive(worker, cut),
            Event::PartitionEnds(worker, cut) => self.partition_ends(worker, cut),
            Event::DiskRecovers => {
                self.disk.slow = false;
                self.disk.full = false;
                Ok(())
            }
            Event::FaultStrikes(fault, worker) => self.fault_strikes(fault, worker),
            Event::NextFault => self.next_fault(),
            Event::Heals => self.heals(),
            Event::LooksAround => self.looks_around(),
        }
    }

    /// Whoever does not run does nothing: events of a paused worker or a stalled coordinator wait for it.
    fn put_off(&mut self, event: Event) -> Option<Event> {
        let stalled_until_ms = self.coordinator.as_ref().map_or(0, |coordinator| coordinator.stalled_until_ms);
        match event {
            Event::Tick(_) | Event::Pulse(_) | Event::Synced(_) | Event::ArrivesUp(_) | Event::NoticesDeadLink(_)
                if self.now_ms < stalled_until_ms =>
            {
                self.agenda.plan(stalled_until_ms, event);
                None
            }
            Event::Connects(worker, _)
            | Event::Beats(worker, _)
            | Event::RunEnds(worker, ..)
            | Event::ReplicaTurns(worker, ..)
                if self.workers[worker].paused =>
            {
                self.workers[worker].put_off.push(event);
                None
            }
            event => Some(event),
        }
    }
}
