//! What goes wrong, and how it comes to an end.

use super::{
    agenda::Event,
    fault::{Fault, Fuse},
    net::{LinkId, Packet, Say},
    oracle::Check,
    state::World,
};

impl World {
    pub(super) fn plan_fault(&mut self) {
        let at_ms = self.now_ms + self.dice.between(1, 2 * self.profile.fault_every_ms);
        self.agenda.plan(at_ms, Event::NextFault);
    }

    pub(super) fn next_fault(&mut self) -> Check {
        let Some(fault) = self.dice.pick(&self.profile.faults).copied() else {
            return Ok(());
        };
        self.plan_fault();
        let worker = usize::try_from(self.dice.below(self.workers.len() as u64)).unwrap_or(0);
        self.fault_strikes(fault, worker)
    }

    pub(super) fn fault_strikes(&mut self, fault: Fault, worker: usize) -> Check {
        if !self.faults_are_on() {
            return Ok(());
        }
        self.say(|| format!("fault: {fault:?}"));
        match fault {
            Fault::CoordinatorCrash => return self.coordinator_crashes(),
            Fault::CrashBeforeSync => self.fuse = Some(Fuse::BeforeSync),
            Fault::CrashMidSync => self.fuse = Some(Fuse::MidSync),
            Fault::CrashAfterSync => self.fuse = Some(Fuse::AfterSync),
            Fault::CoordinatorStall => self.coordinator_stalls(),
            Fault::SlowDisk => {
                self.coverage.saw("a slow disk");
                self.disk.slow = true;
                let at_ms = self.now_ms + self.dice.between(100, 4_000);
                self.agenda.plan(at_ms, Event::DiskRecovers);
            }
            Fault::FullDisk => {
                self.coverage.saw("a full disk");
                self.disk.full = true;
                let at_ms = self.now_ms + self.dice.between(100, 4_000);
                self.agenda.plan(at_ms, Event::DiskRecovers);
            }
            Fault::WallJump => {
                self.coverage.saw("a jump of the wall clock");
                self.wall_ms = self.dice.between(0, 4_000_000_000_000);
            }
            Fault::WorkerCrash => {
                self.coverage.saw("a worker crash");
                self.worker_dies(worker, true);
            }
            Fault::PowerLoss => {
                self.coverage.saw("a worker power loss");
                self.worker_dies(worker, false);
                // It comes back with the whole machine, when nobody can tell any more how the life before ended.
                self.workers[worker].previous = None;
            }
            Fault::WorkerPause => self.worker_pauses(worker),
            Fault::Goodbye => self.worker_leaves(worker),
            Fault::LinkReset => self.link_breaks(worker),
            Fault::Reconnect => {
                if let Some(link) = self.workers[worker].link {
                    self.worker_closes(worker, link, true);
                }
            }
            Fault::Flap => {
                self.coverage.saw("a flapping link");
                for _ in 0..self.dice.between(3, 8) {
                    let at_ms = self.now_ms + self.dice.between(1, 1_500);
                    let reset = Event::FaultStrikes(Fault::LinkReset, worker);
                    self.agenda.plan(at_ms, reset);
                }
            }
            Fault::Straggle => self.link_straggles(worker),
            Fault::CutBoth => self.cut(worker, true, true),
            Fault::CutUp => self.cut(worker, true, false),
            Fault::CutDown => self.cut(worker, false, true),
            Fault::Lie => self.worker_lies(worker),
            Fault::Copy => self.worker_is_copied(worker),
            Fault::AnswerLost => {}
        }
        Ok(())
    }

    fn coordinator_stalls(&mut self) {
        let until_ms = self.now_ms + self.dice.between(50, 2 * self.profile.settings.lease_ms);
        if let Some(coordinator) = &mut self.coordinator {
            self.coverage.saw("a coordinator stall");
            coordinator.stalled_until_ms = until_ms;
        }
    }

    fn worker_pauses(&mut self, number: usize) {
        let worker = &mut self.workers[number];
        if !worker.up || worker.paused {
            return;
        }
        self.coverage.saw("a worker pause");
        worker.paused = true;
        let longest_ms = 3 * self.profile.settings.lease_ms;
        let at_ms = self.now_ms + self.dice.between(50, longest_ms);
        self.agenda.plan(at_ms, Event::WorkerResumes(number));
    }

    pub(super) fn worker_resumes(&mut self, number: usize) -> Check {
        let worker = &mut self.workers[number];
        worker.paused = false;
        for event in std::mem::take(&mut worker.put_off) {
            self.agenda.plan(self.now_ms, event);
        }
        self.links_move(number);
        Ok(())
    }

    /// Whatever lay on a worker's links may arrive now.
    fn links_move(&mut self, number: usize) {
        for link in self.net.of(number) {
            self.agenda.plan(self.now_ms, Event::ArrivesUp(link));
            self.agenda.plan(self.now_ms, Event::ArrivesDown(link));
        }
    }

    fn worker_leaves(&mut self, number: usize) {
        let worker = &self.workers[number];
        if !worker.up || worker.paused {
            return;
        }
        if let Some(link) = worker.link
            && worker.welcomed
        {
            self.coverage.saw("a worker goodbye");
            let goodbye = Packet::Data(Say::Goodbye);
            self.send_up(link, goodbye);
        } else if worker.was_welcome.is_some() {
            self.coverage.saw("a worker that left without its goodbye");
        }
        self.workers[number].leaves();
        self.worker_dies(number, true);
    }

    fn link_breaks(&mut self, number: usize) {
        let Some(link) = self.workers[number].link else {
            return;
        };
        self.coverage.saw("a link reset");
        // The ends learn of it at different times: the worker may be back before the coordinator knows.
        let soon = self.dice.chance(50);
        let longest_ms = if soon { self.profile.net_ms } else { self.profile.keepalive_ms };
        let at_ms = self.now_ms + self.dice.between(0, longest_ms);
        self.agenda.plan(at_ms, Event::NoticesDeadLink(link));
        if self.dice.chance(70) {
            self.worker_closes(number, link, false);
        }
    }

    fn link_straggles(&mut self, number: usize) {
        let Some(id) = self.workers[number].link else {
            return;
        };
        self.coverage.saw("a straggling link");
        self.lies_unread(id);
        let ends = [Fault::WorkerCrash, Fault::Reconnect];
        let end = self.dice.pick(&ends).copied().unwrap_or(Fault::Reconnect);
        let at_ms = self.now_ms + self.dice.between(1, self.profile.settings.lease_ms);
        self.agenda.plan(at_ms, Event::FaultStrikes(end, number));
    }

    fn cut(&mut self, number: usize, up: bool, down: bool) {
        self.coverage.saw(match (up, down) {
            (true, true) => "a partition both ways",
            (true, false) => "a partition towards the coordinator",
            _ => "a partition from the coordinator",
        });
        let worker = &mut self.workers[number];
        worker.cut_up |= up;
        worker.cut_down |= down;
        worker.cuts += 1;
        let cut = worker.cuts;
        let keepalive = Event::Keepalive(number, cut);
        self.agenda.plan(self.now_ms + self.profile.keepalive_ms, keepalive);
        let longest_ms = 3 * self.profile.settings.lease_ms;
        let ends_ms = self.now_ms + self.dice.between(50, longest_ms);
        self.agenda.plan(ends_ms, Event::PartitionEnds(number, cut));
    }

    /// An end that has heard nothing for too long closes.
    pub(super) fn keepalive(&mut self, number: usize, cut: u64) -> Check {
        let worker = &self.workers[number];
        if worker.cuts != cut {
            return Ok(());
        }
        let (up, down) = (worker.cut_up, worker.cut_down);
        let links: Vec<LinkId> = self.net.of(number);
        for link in links {
            if down && !self.workers[number].paused {
                self.worker_closes(number, link, true);
            }
            if up {
                self.agenda.plan(self.now_ms, Event::NoticesDeadLink(link));
            }
        }
        Ok(())
    }

    pub(super) fn partition_ends(&mut self, number: usize, cut: u64) -> Check {
        let worker = &mut self.workers[number];
        if worker.cuts == cut {
            worker.cut_up = false;
            worker.cut_down = false;
            worker.cuts += 1;
            self.links_move(number);
        }
        Ok(())
    }

    /// No more faults: everything that was broken works again, but for a worker that may be gone for good.
    pub(super) fn heals(&mut self) -> Check {
        self.say(|| "faults end".to_owned());
        self.fuse = None;
        self.disk.slow = false;
        self.disk.full = false;
        for number in 0..self.workers.len() {
            let cut = self.workers[number].cuts;
            self.partition_ends(number, cut)?;
            self.worker_resumes(number)?;
            // Whoever claims what it does not have keeps others from running it until it says hello again.
            if let Some(link) = self.workers[number].link
                && self.workers[number].claims
            {
                self.worker_closes(number, link, true);
            }
        }
        self.copies_end();
        if self.profile.forsakes {
            self.coverage.saw("a worker that never came back");
            self.worker_dies(0, false);
            self.workers[0].forsaken = true;
        }
        self.agenda.plan(self.now_ms, Event::LooksAround);
        Ok(())
    }
}
