//! What workers do: they run attempts, hold every result until it is settled, keep replicas, and say it all again when
//! they reconnect. They are honest, but for what `lies` makes them say; it is the world that is not kind to them.

use std::{collections::BTreeSet, time::Duration};

use longshore_core::{Assignment, AttemptId, Blame, End, Finished, Order, ReplicaKey, ReplicaPhase};

use super::{
    agenda::Event,
    net::{Packet, Say, Tell},
    oracle::{Check, demand},
    script::{Course, Script, detail_of, fault},
    state::World,
    worker,
};

/// How long a hello may go unanswered.
const MANNERS_MS: u64 = 10_000;

impl World {
    pub(super) fn worker_starts(&mut self, number: usize) -> Check {
        let worker = &mut self.workers[number];
        if worker.up || worker.forsaken {
            return Ok(());
        }
        worker.up = true;
        worker.life += 1;
        worker.tenure = longshore_proto::Tenure::default();
        let life = worker.life;
        self.say(|| format!("worker {number} starts, life {life}"));
        self.plan_connect(number);
        self.plan_beat(number);
        Ok(())
    }

    /// The process is gone with everything it held. With `told`, its links are closed; else nobody hears of it.
    pub(super) fn worker_dies(&mut self, number: usize, told: bool) {
        self.say(|| format!("worker {number} dies"));
        let worker = &mut self.workers[number];
        if !worker.up {
            return;
        }
        worker.up = false;
        worker.paused = false;
        worker.put_off.clear();
        worker.drops_all();
        worker.previous = worker.was_welcome.take().or(worker.previous);
        if let Some(link) = worker.link {
            self.worker_closes(number, link, told);
        }
        let longest_ms = if self.dice.chance(50) { 200 } else { 2 * self.profile.settings.lease_ms };
        let at_ms = self.now_ms + self.dice.between(20, longest_ms);
        self.agenda.plan(at_ms, Event::WorkerStarts(number));
    }

    fn plan_beat(&mut self, number: usize) {
        let life = self.workers[number].life;
        let at_ms = self.now_ms + self.profile.settings.lease_ms / 8;
        self.agenda.plan(at_ms, Event::Beats(number, life));
    }

    pub(super) fn beats(&mut self, number: usize, life: u64) -> Check {
        if !self.workers[number].is(life) {
            return Ok(());
        }
        self.plan_beat(number);
        let now_ms = self.now_ms;
        let worker = &mut self.workers[number];
        let silence_ms = match worker.welcomed {
            true if worker.is_old => u64::MAX,
            true => self.profile.settings.lease_ms / 2,
            false => MANNERS_MS,
        };
        match worker.link {
            Some(link) if now_ms - worker.reached_ms > silence_ms => {
                self.coverage.saw("a silent link dropped by its worker");
                self.worker_closes(number, link, true);
                return Ok(());
            }
            Some(link) if worker.welcomed => {
                let beat = worker.beat(now_ms);
                self.send_up(link, Packet::Data(Say::Heartbeat(beat)));
            }
            _ => {}
        }
        if self.faults_are_on() && self.dice.chance(10) {
            self.say_results(number);
        }
        Ok(())
    }

    /// Says a message, if its hello was accepted; else the next hello says it all.
    pub(super) fn tell(&mut self, number: usize, say: Say) {
        let worker = &self.workers[number];
        if worker.welcomed
            && let Some(link) = worker.link
        {
            self.send_up(link, Packet::Data(say));
        }
    }

    /// Says every result that is not settled.
    fn say_results(&mut self, number: usize) {
        let results: Vec<Finished> = self.workers[number].results.values().cloned().collect();
        if !results.is_empty() {
            self.tell(number, Say::Finished(results));
        }
    }

    /// A worker hears something on its link.
    pub(super) fn is_told(&mut self, number: usize, tell: Tell) -> Check {
        let now_ms = self.now_ms;
        let worker = &mut self.workers[number];
        worker.reached_ms = now_ms;
        match tell {
            Tell::Order(order) => self.obeys(number, order),
            Tell::Answer(beat) => {
                worker.tenure.answered(beat);
                Ok(())
            }
            Tell::Ping(ping) => {
                if let Some(link) = worker.link.filter(|_| !worker.is_old) {
                    self.send_up(link, Packet::Data(Say::Pong(ping)));
                }
                Ok(())
            }
            Tell::Taken => {
                self.is_refused(number);
                Ok(())
            }
        }
    }

    /// Another is in its place. A life that was never welcome ends; whoever was, drops what it has and comes again.
    fn is_refused(&mut self, number: usize) {
        self.say(|| format!("worker {number} is refused"));
        let worker = &mut self.workers[number];
        worker.tenure.ends();
        worker.drops_all();
        if worker.was_welcome.is_some() {
            self.coverage.saw("a life that was welcome before refused");
        } else {
            self.coverage.saw("a second life refused");
            let event = Event::GivesUp(number, worker.life);
            self.agenda.plan(self.now_ms, event);
        }
    }

    /// A life that was refused ends. An operator, or whoever looks after the process, starts it again.
    pub(super) fn gives_up(&mut self, number: usize, life: u64) {
        if self.workers[number].is(life) {
            self.worker_dies(number, true);
        }
    }

    fn obeys(&mut self, number: usize, order: Order) -> Check {
        let lease = Duration::from_millis(self.profile.settings.lease_ms);
        let worker = &mut self.workers[number];
        match order {
            Order::Welcome { incarnation, .. } => {
                let own = worker::incarnation(number, worker.life);
                demand!(incarnation == own, "worker {number} is welcomed as another life");
                worker.welcomed = true;
                worker.was_welcome = Some(worker.life);
                worker.tenure.welcomed(lease);
                self.say_results(number);
                if self.workers[number].news {
                    self.coverage.saw("a replica that changed between hello and welcome");
                    self.says_replicas(number);
                }
            }
            Order::Assign { attempts, .. } => {
                for attempt in &attempts {
                    let new = worker.given.insert(attempt.id);
                    demand!(new, "worker {number} is given {:?} twice", attempt.id);
                }
                worker.queue.extend(attempts);
            }
            Order::Stop { ids, .. } => {
                worker.queue.retain(|waiting| !ids.contains(&waiting.id));
                for id in &ids {
                    worker.running.remove(id);
                    worker.results.remove(id);
                }
            }
            Order::Return { ids, .. } => self.gives_back(number, &ids),
            Order::Settle { ids, .. } => self.forgets(number, &ids),
            Order::Replicas { keep, .. } => self.keeps(number, keep),
            Order::Image { job, stage, digest, .. } => {
                let told = worker.images.insert((job, stage), digest);
                demand!(told.is_none_or(|told| told == digest), "worker {number} is told two images for {job}");
            }
            Order::ForgetJob { .. } => {}
        }
        self.starts_runs(number);
        Ok(())
    }

    fn gives_back(&mut self, number: usize, ids: &[AttemptId]) {
        let worker = &mut self.workers[number];
        let mut back = Vec::new();
        worker.queue.retain(|waiting| {
            let asked = ids.contains(&waiting.id);
            if asked {
                back.push(*waiting);
            }
            !asked
        });
        for attempt in back {
            self.ends(number, &attempt, End::Returned, 0);
        }
    }

    fn forgets(&mut self, number: usize, ids: &[AttemptId]) {
        for id in ids {
            let Some(result) = self.workers[number].results.remove(id) else {
                continue;
            };
            if matches!(result.end, End::Succeeded { .. }) {
                self.oracle.settled(*id, result.item);
            }
        }
    }

    fn keeps(&mut self, number: usize, keep: Vec<ReplicaKey>) {
        let life = self.workers[number].life;
        let keep: BTreeSet<ReplicaKey> = keep.into_iter().collect();
        self.workers[number].replicas.retain(|key, _| keep.contains(key));
        for key in keep {
            if self.workers[number].replicas.contains_key(&key) {
                continue;
            }
            self.workers[number].replicas.insert(key.clone(), ReplicaPhase::Starting);
            let at_ms = self.now_ms + self.dice.between(1, 500);
            self.agenda.plan(at_ms, Event::ReplicaTurns(number, life, key));
        }
        self.says_replicas(number);
    }

    /// Says how its replicas are, as after every change.
    fn says_replicas(&mut self, number: usize) {
        let worker = &mut self.workers[number];
        worker.news = true;
        let statuses = worker.statuses();
        self.tell(number, Say::Replicas(statuses));
    }

    pub(super) fn replica_turns(&mut self, number: usize, life: u64, key: &ReplicaKey) -> Check {
        let fails = self.faults_are_on() && self.dice.chance(20);
        if !self.workers[number].is(life) {
            return Ok(());
        }
        let Some(phase) = self.workers[number].replicas.get_mut(key) else {
            return Ok(());
        };
        *phase = if fails {
            self.coverage.saw("a replica failed");
            ReplicaPhase::Failed
        } else {
            ReplicaPhase::Ready
        };
        if fails {
            let at_ms = self.now_ms + self.dice.between(1, 800);
            let again = Event::ReplicaTurns(number, life, key.clone());
            self.agenda.plan(at_ms, again);
        }
        self.says_replicas(number);
        Ok(())
    }

    fn starts_runs(&mut self, number: usize) {
        loop {
            let worker = &mut self.workers[number];
            if worker.running.len() as u64 >= worker.slots {
                return;
            }
            let Some(attempt) = worker.queue.pop_front() else {
                return;
            };
            if self.faults_are_on() && self.dice.chance(self.profile.returned) {
                self.ends(number, &attempt, End::Returned, 0);
                continue;
            }
            let script = Script::of(self.seed, &self.profile, &attempt.item);
            let runs_ms = self.dice.between(1, script.run_ms * 2);
            let worker = &mut self.workers[number];
            worker.running.insert(attempt.id, attempt);
            // What it has found is its own; what is agreed on is everybody's.
            let (key, found) =
                ((attempt.item.job, attempt.item.stage), [u8::try_from(number % 251).unwrap_or_default(); 32]);
            let asks = !worker.is_old && !worker.images.contains_key(&key);
            let event = Event::RunEnds(number, worker.life, attempt.id);
            self.agenda.plan(self.now_ms + runs_ms, event);
            if asks {
                self.tell(number, Say::Image(key.0, key.1, found));
            }
        }
    }

    pub(super) fn run_ends(&mut self, number: usize, life: u64, id: AttemptId) -> Check {
        if !self.workers[number].is(life) {
            return Ok(());
        }
        let Some(attempt) = self.workers[number].running.remove(&id) else {
            return Ok(());
        };
        let script = Script::of(self.seed, &self.profile, &attempt.item);
        if script.course == Course::TakesDownWorker {
            self.coverage.saw("an item that takes down its worker");
            let told = self.dice.chance(50);
            self.worker_dies(number, told);
            return Ok(());
        }
        let end = self.end_of(&script, &attempt);
        self.ends(number, &attempt, end, script.run_ms * 1_000);
        self.starts_runs(number);
        Ok(())
    }

    fn end_of(&mut self, script: &Script, attempt: &Assignment) -> End {
        let failed = match script.course {
            Course::FailsFirst(times, blame) if attempt.attempt <= times => Some(blame),
            Course::Fails(blame) => Some(blame),
            _ => None,
        };
        if failed == Some(Blame::Slot) {
            self.coverage.saw("an item that takes down its slot");
        }
        let detail = detail_of(attempt.id);
        match failed {
            Some(blame) => End::Failed { blame, fault: fault(self.seed, &attempt.item, blame), detail },
            None => End::Succeeded { outputs: script.outputs, detail },
        }
    }

    fn ends(&mut self, number: usize, attempt: &Assignment, end: End, run_us: u64) {
        let result = Finished { id: attempt.id, item: attempt.item, end, run_us };
        self.workers[number].results.insert(attempt.id, result.clone());
        if self.faults_are_on() && self.dice.chance(5) {
            self.say_results(number);
        } else {
            self.tell(number, Say::Finished(vec![result]));
        }
    }
}
