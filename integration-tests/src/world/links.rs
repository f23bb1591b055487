//! What happens on links: messages arrive, ends close, and the drive decides which link speaks for a worker.

use longshore_core::WorkerId;
use longshore_drive::{Beat, Heard, Hello, LinkId as Number, Peer, Turn, Word};

use super::{
    agenda::Event,
    coordinator::Pinged,
    net::{LinkId, Packet, Say, Tell},
    oracle::{Check, demand},
    script,
    state::World,
    worker,
};

impl World {
    pub(super) fn send_down(&mut self, id: LinkId, packet: Packet<Tell>) {
        let earliest_ms = self.now_ms + self.dice.between(1, self.profile.net_ms);
        if let Some(link) = self.net.links.get_mut(&id)
            && link.worker_open
        {
            let at_ms = link.down.send(earliest_ms, packet);
            self.agenda.plan(at_ms, Event::ArrivesDown(id));
        }
    }

    pub(super) fn send_up(&mut self, id: LinkId, packet: Packet<Say>) {
        let earliest_ms = self.now_ms + self.dice.between(1, self.profile.net_ms);
        if let Some(link) = self.net.links.get_mut(&id)
            && link.coordinator_open
        {
            let at_ms = link.up.send(earliest_ms, packet);
            self.agenda.plan(at_ms, Event::ArrivesUp(id));
        }
    }

    /// Everything that is there by now, unless something is in its way.
    pub(super) fn arrives_up(&mut self, id: LinkId) -> Check {
        while self.coordinator.is_some()
            && let Some(link) = self.net.links.get_mut(&id)
            && !self.workers[link.worker].cut_up
            && link.coordinator_open
            && link.unread_until_ms <= self.now_ms
            && let Some(packet) = link.up.receive(self.now_ms)
        {
            match packet {
                Packet::Closed => self.coordinator_closes(id)?,
                Packet::Data(say) => self.hears(id, say)?,
            }
        }
        Ok(())
    }

    pub(super) fn arrives_down(&mut self, id: LinkId) -> Check {
        while let Some(link) = self.net.links.get_mut(&id)
            && !self.workers[link.worker].cut_down
            && !self.workers[link.worker].paused
            && link.worker_open
            && let Some(packet) = link.down.receive(self.now_ms)
        {
            let worker = link.worker;
            match packet {
                Packet::Closed => self.worker_closes(worker, id, true),
                Packet::Data(tell) => self.is_told(worker, tell)?,
            }
        }
        Ok(())
    }

    /// The coordinator reads something from a link.
    fn hears(&mut self, id: LinkId, say: Say) -> Check {
        let (Some(link), Some(coordinator)) = (self.net.links.get(&id), &self.coordinator) else {
            return Ok(());
        };
        let number = link.worker;
        let worker = self.workers[number].id;
        let incarnation = worker::incarnation(number, link.life);
        let peer = Peer { link: Number(id), worker, incarnation };
        if let Say::Hello { previous, held, replicas } = say {
            let slots = u32::try_from(self.workers[number].slots).unwrap_or(1);
            let clientele = script::clientele(self.seed, &self.profile, number as u64, link.life);
            let is_member = coordinator.core().ledger().member(worker).is_some();
            let name = format!("worker-{number}");
            return self.hears_hello(
                peer,
                Hello { previous, name, slots, is_member, clientele, offer: std::sync::Arc::default(), held, replicas },
            );
        }
        let older = coordinator.drive.links().of(worker).is_some_and(|newest| newest.0 != id);
        let answers =
            matches!(say, Say::Pong(ping) if coordinator.pinged.get(&worker).is_some_and(|it| it.is(id, ping)));
        let heard = self.feed(|drive, now| Some(drive.word(now, peer, word(say)).0))?;
        if answers && heard == Some(Heard::Told) {
            self.nobody_waits_for(worker)?;
        }
        demand!(!older || heard == Some(Heard::Replaced), "an older link of worker {number} is heard");
        match heard {
            Some(Heard::Unknown) => {
                self.coverage.saw("a link of an unknown worker closed");
                self.coordinator_closes(id)
            }
            Some(Heard::Replaced) => {
                self.coverage.saw("a message of an older link refused");
                if self.dice.chance(50) { Ok(()) } else { self.coordinator_closes(id) }
            }
            _ => Ok(()),
        }
    }

    /// Another life of a worker that has a link takes nothing over before that was asked.
    fn hears_hello(&mut self, peer: Peer, hello: Hello) -> Check {
        let drive = self.coordinator.as_ref().map(|coordinator| &coordinator.drive);
        let there = drive.filter(|drive| drive.links().of(peer.worker).is_some());
        let there = there.and_then(|drive| drive.core().life(peer.worker)).filter(|life| *life != peer.incarnation);
        self.feed(|drive, now| drop(drive.hello(now, peer, hello)))?;
        if let (Some(there), Some(coordinator)) = (there, &self.coordinator) {
            self.coverage.saw("a life asked whether it lives");
            let stays = coordinator.core().life(peer.worker) == Some(there);
            demand!(stays, "{} takes the place of {there}, which was not asked", peer.incarnation);
        }
        Ok(())
    }

    /// The life that is there has answered.
    fn nobody_waits_for(&self, worker: WorkerId) -> Check {
        let waits = self.coordinator.iter().flat_map(|it| it.drive.newcomers()).any(|(peer, _)| peer.worker == worker);
        demand!(!waits, "somebody waits for the place of {worker}, which has answered");
        Ok(())
    }

    /// Does with links what the drive says. An older one has to end, though what it still brings may come first.
    pub(super) fn takes_turn(&mut self, turn: Turn) -> Check {
        match turn {
            Turn::Admit(peer) => {
                let Some(coordinator) = &mut self.coordinator else { return Ok(()) };
                match coordinator.speaks.insert(peer.worker, peer.link.0) {
                    Some(older) if older != peer.link.0 && !self.profile.stale => self.coordinator_closes(older),
                    _ => Ok(()),
                }
            }
            Turn::Refuse(peer) => {
                self.urges(peer.link.0, Tell::Taken);
                self.coordinator_closes(peer.link.0)
            }
            Turn::Bar(peer) => {
                self.coverage.saw("a link of who is no member any more closed");
                self.coordinator_closes(peer.link.0)
            }
            Turn::Replace(peer) => {
                if let Some(pinged) = self.pinged(peer.worker) {
                    pinged.goes_on = true;
                }
                self.coordinator_closes(peer.link.0)
            }
            Turn::Ping(peer, ping) => {
                self.notes_ping(peer, ping);
                self.urges(peer.link.0, Tell::Ping(ping));
                Ok(())
            }
            Turn::Answer(peer, beat) => {
                self.urges(peer.link.0, Tell::Answer(beat));
                Ok(())
            }
        }
    }

    /// Whoever waits in the place of another waits for the answer to the first ping, too.
    fn notes_ping(&mut self, peer: Peer, ping: u64) {
        let link = peer.link.0;
        let before = self.pinged(peer.worker).filter(|it| it.link == link);
        if before.is_some_and(|before| std::mem::take(&mut before.goes_on)) {
            self.coverage.saw("a newcomer in the place of another");
        } else if let Some(coordinator) = &mut self.coordinator {
            coordinator.pinged.insert(peer.worker, Pinged { link, first: ping, goes_on: false });
        }
    }

    fn pinged(&mut self, worker: WorkerId) -> Option<&mut Pinged> {
        self.coordinator.as_mut()?.pinged.get_mut(&worker)
    }

    /// Says something behind the welcome, or instead of it.
    fn urges(&mut self, id: LinkId, tell: Tell) {
        match self.net.links.get_mut(&id) {
            Some(link) if link.welcomed || matches!(tell, Tell::Taken) => self.send_down(id, Packet::Data(tell)),
            Some(link) => link.urgent.push(tell),
            None => {}
        }
    }

    /// The coordinator's end closes. If it was the worker's link, the core hears of it.
    pub(super) fn coordinator_closes(&mut self, id: LinkId) -> Check {
        let Some(link) = self.net.links.get_mut(&id) else {
            return Ok(());
        };
        if !std::mem::replace(&mut link.coordinator_open, false) {
            return Ok(());
        }
        let (number, life) = (link.worker, link.life);
        link.up.truncate(0);
        self.send_down(id, Packet::Closed);
        self.net.sweep();
        let worker = self.workers[number].id;
        let peer = Peer { link: Number(id), worker, incarnation: worker::incarnation(number, life) };
        self.feed(|drive, now| drop(drive.ended(now, peer)))
    }

    /// All links of a coordinator that is no more: what it had sent may arrive, in part.
    pub(super) fn coordinator_ends_all_links(&mut self) {
        let ids: Vec<LinkId> = self.net.links.keys().copied().collect();
        for id in ids {
            let Some(link) = self.net.links.get_mut(&id) else {
                continue;
            };
            if !link.coordinator_open {
                continue;
            }
            link.coordinator_open = false;
            link.up.truncate(0);
            let on_the_way = link.down.len() as u64;
            let arrives = self.dice.between(0, on_the_way);
            link.down.truncate(usize::try_from(arrives).unwrap_or(0));
            self.send_down(id, Packet::Closed);
        }
        self.net.sweep();
    }

    /// The worker's end closes; what it had sent may arrive, sometimes in part. With `told`, the coordinator learns of it behind
    /// that; else it notices only when nothing comes any more.
    pub(super) fn worker_closes(&mut self, number: usize, id: LinkId, told: bool) {
        if self.workers[number].link == Some(id) {
            self.workers[number].link = None;
            self.workers[number].welcomed = false;
            self.plan_connect(number);
        }
        let Some(link) = self.net.links.get_mut(&id) else {
            return;
        };
        if !std::mem::replace(&mut link.worker_open, false) {
            return;
        }
        link.down.truncate(0);
        if self.dice.chance(40) {
            let on_the_way = link.up.len() as u64;
            let arrives = self.dice.between(0, on_the_way);
            link.up.truncate(usize::try_from(arrives).unwrap_or(0));
        }
        if self.faults_are_on() && self.dice.chance(40) {
            self.lies_unread(id);
        }
        if told {
            self.send_up(id, Packet::Closed);
        } else {
            let notices_ms = self.now_ms + self.profile.keepalive_ms;
            self.agenda.plan(notices_ms, Event::NoticesDeadLink(id));
        }
        self.net.sweep();
    }

    /// What a worker sends on a link is not read for a while.
    pub(super) fn lies_unread(&mut self, id: LinkId) {
        let longest_ms = 2 * self.profile.settings.lease_ms;
        let until_ms = self.now_ms + self.dice.between(1, longest_ms);
        if let Some(link) = self.net.links.get_mut(&id) {
            link.unread_until_ms = until_ms;
            self.agenda.plan(until_ms, Event::ArrivesUp(id));
        }
    }

    /// A worker tries to reach the coordinator.
    pub(super) fn connects(&mut self, number: usize, life: u64) -> Check {
        let worker = &self.workers[number];
        if !worker.up || worker.life != life || worker.link.is_some() {
            return Ok(());
        }
        if self.coordinator.is_none() || worker.cut_up || worker.cut_down {
            self.plan_connect(number);
            return Ok(());
        }
        let id = self.net.open(number, life);
        self.workers[number].claims = false;
        let claims = self.claims(number);
        let now_ms = self.now_ms;
        let worker = &mut self.workers[number];
        worker.link = Some(id);
        worker.welcomed = false;
        worker.reached_ms = now_ms;
        let hello = worker.hello(number, now_ms, claims);
        self.send_up(id, Packet::Data(hello));
        Ok(())
    }

    pub(super) fn plan_connect(&mut self, number: usize) {
        let life = self.workers[number].life;
        let at_ms = self.now_ms + self.dice.between(5, 400);
        self.agenda.plan(at_ms, Event::Connects(number, life));
    }
}

/// What a worker says behind its hello.
fn word(say: Say) -> Word {
    match say {
        Say::Finished(results) => Word::Finished(results),
        Say::Replicas(replicas) => Word::Replicas(replicas),
        Say::Image(job, stage, digest) => Word::Image(job, vec![stage], digest),
        Say::Goodbye => Word::Goodbye,
        Say::Heartbeat(beat) => Word::Heartbeat(beat),
        Say::Pong(ping) => Word::Pong(ping),
        Say::Hello { .. } => Word::Heartbeat(Beat { number: 0, answered: 0 }),
    }
}
