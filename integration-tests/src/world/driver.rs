//! The coordinator around the core: steps, group commit, and the law that nothing leaves before its records are durable.

use std::collections::{BTreeMap, VecDeque};

use longshore_core::{Core, Input, Order, Outbox, Record, Reply, RequestId, WorkerId};

use super::{
    World,
    agenda::Event,
    client::Wish,
    dice::Dice,
    faults::Fuse,
    net::{LinkId, Packet},
    oracle::{Check, Seen, demand},
    sabotage::Sabotage,
};

/// One life of the coordinator.
#[derive(Debug)]
pub struct Coordinator {
    /// The core.
    pub core: Core,
    /// The epoch of this life.
    pub epoch: u64,
    /// What its steady clock is ahead of the world's.
    pub offset_ms: u64,
    /// It does nothing before that time.
    pub stalled_until_ms: u64,
    /// The link of each worker that has said hello and not hung up.
    pub links: BTreeMap<WorkerId, LinkId>,
    /// Which client asked, and for what.
    pub askers: BTreeMap<RequestId, (usize, Wish)>,
    waiting: VecDeque<Waiting>,
    tick_ms: Option<u64>,
}

/// What leaves once `after` batches are durable.
#[derive(Debug)]
struct Waiting {
    after: u64,
    orders: Vec<(Option<LinkId>, Order)>,
    replies: Vec<(RequestId, Reply)>,
}

impl Coordinator {
    /// Whether everything it decided has left.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }
}

impl World {
    pub(super) fn coordinator_starts(&mut self) -> Check {
        if self.coordinator.is_some() {
            return Ok(());
        }
        // A new epoch is durable before anything else is done with it.
        if self.sabotage != Sabotage::SameEpoch || self.disk.epoch == 0 {
            self.disk.epoch += 1;
        }
        let epoch = self.disk.epoch;
        let mut coordinator = Coordinator {
            core: Core::load(epoch, self.profile.settings, longshore_core::Now::default(), []),
            epoch,
            offset_ms: self.dice.below(1_000_000),
            stalled_until_ms: 0,
            links: BTreeMap::new(),
            askers: BTreeMap::new(),
            waiting: VecDeque::new(),
            tick_ms: None,
        };
        let now = self.core_now(&coordinator);
        let records = self.disk.kept().records();
        coordinator.core = Core::load(epoch, self.profile.settings, now, records);
        self.trail.say(self.now_ms, || format!("coordinator starts, epoch {epoch}"));
        self.oracle.loaded(&coordinator.core, self.disk.kept(), epoch, now)?;
        self.coordinator = Some(coordinator);
        if self.profile.tick_ms > 0 {
            self.agenda.plan(self.now_ms + self.profile.tick_ms, Event::Pulse(epoch));
        }
        self.plan_tick();
        Ok(())
    }

    /// Tells the core what happened, and keeps what it answers until it may leave.
    pub(super) fn feed(&mut self, input: Input) -> Check {
        let Some(mut coordinator) = self.coordinator.take() else {
            return Ok(());
        };
        let now = self.core_now(&coordinator);
        let mut out = coordinator.core.step(now, input.clone());
        self.trail.say(self.now_ms, || shown(&input, &out));
        let seen = Seen { core: &coordinator.core, now, input: &input, out: &out };
        self.oracle.stepped(seen, &mut self.coverage)?;
        if input == Input::Tick
            && let Some(next_ms) = coordinator.core.next_deadline_ms()
        {
            demand!(next_ms > now.steady_ms, "a tick leaves a deadline {} ms in the past", now.steady_ms - next_ms);
        }
        let decided = !out.records.is_empty();
        if out.records.iter().any(is_progress) {
            self.progress_ms = self.now_ms;
        }
        let after = self.disk.write(std::mem::take(&mut out.records));
        let waiting = self.address(&coordinator, out, after);
        coordinator.waiting.push_back(waiting);
        self.coordinator = Some(coordinator);
        self.plan_tick();
        if decided && self.fuse == Some(Fuse::BeforeSync) {
            self.coverage.saw("a coordinator crash between deciding and syncing");
            return self.coordinator_crashes();
        }
        self.sabotaged_release()?;
        self.sync_or_release()
    }

    /// Orders are for the link a worker has now: a later one begins with a hello, which settles everything anew.
    fn address(&self, coordinator: &Coordinator, out: Outbox, after: u64) -> Waiting {
        let link = |order: &Order| coordinator.links.get(&order.worker()).copied();
        Waiting {
            after,
            orders: out.orders.into_iter().map(|order| (link(&order), order)).collect(),
            replies: out.replies,
        }
    }

    fn sync_or_release(&mut self) -> Check {
        if self.disk.wants_sync()
            && let Some(coordinator) = &self.coordinator
        {
            let epoch = coordinator.epoch;
            self.oracle.ledger_is_what_was_kept(&coordinator.core)?;
            if self.disk.begin_sync() > 1 {
                self.coverage.saw("several outboxes in one sync");
                if self.fuse == Some(Fuse::MidSync) {
                    return self.coordinator_crashes();
                }
            }
            let slowness = if self.disk.slow { 40 } else { 1 };
            let takes_ms = self.dice.between(1, self.profile.sync_ms) * slowness;
            self.agenda.plan(self.now_ms + takes_ms.min(3_000), Event::Synced(epoch));
        }
        self.release()
    }

    pub(super) fn synced(&mut self, epoch: u64) -> Check {
        if !self.is_life(epoch) {
            return Ok(());
        }
        self.disk.end_sync();
        if self.fuse == Some(Fuse::AfterSync) {
            self.coverage.saw("a coordinator crash between syncing and answering");
            return self.coordinator_crashes();
        }
        self.sync_or_release()
    }

    /// Lets go what is durable, in order.
    fn release(&mut self) -> Check {
        while let Some(coordinator) = &mut self.coordinator
            && coordinator.waiting.front().is_some_and(|first| first.after <= self.disk.durable())
            && let Some(waiting) = coordinator.waiting.pop_front()
        {
            for (link, order) in waiting.orders {
                self.give(link, order)?;
            }
            for (request, reply) in waiting.replies {
                self.answer(request, &reply);
            }
        }
        Ok(())
    }

    /// What a driver that does not keep the law lets go at once.
    fn sabotaged_release(&mut self) -> Check {
        let Some(last) = self.coordinator.as_mut().and_then(|coordinator| coordinator.waiting.back_mut()) else {
            return Ok(());
        };
        let (mut orders, mut replies) = (Vec::new(), Vec::new());
        match self.sabotage {
            Sabotage::OrdersBeforeDurable => orders = std::mem::take(&mut last.orders),
            Sabotage::AnswersBeforeDurable => replies = std::mem::take(&mut last.replies),
            _ => {}
        }
        for (link, order) in orders {
            self.give(link, order)?;
        }
        for (request, reply) in replies {
            self.answer(request, &reply);
        }
        Ok(())
    }

    fn give(&mut self, link: Option<LinkId>, order: Order) -> Check {
        let current = self.coordinator.as_ref().and_then(|coordinator| coordinator.links.get(&order.worker()).copied());
        let link = if self.sabotage == Sabotage::OrdersFollowTheWorker {
            current
        } else {
            link.filter(|link| current == Some(*link))
        };
        let Some((id, link)) = link.and_then(|id| self.net.links.get_mut(&id).map(|link| (id, link))) else {
            self.coverage.saw("an order dropped with its link");
            return Ok(());
        };
        let first = !std::mem::replace(&mut link.welcomed, true);
        let welcome = matches!(order, Order::Welcome { .. });
        demand!(first == welcome, "the first order of a link is its welcome, not {order:?}");
        self.send_down(id, Packet::Data(order));
        Ok(())
    }

    pub(super) fn ticks(&mut self, epoch: u64) -> Check {
        let now_ms = self.now_ms;
        match &mut self.coordinator {
            Some(it) if it.epoch == epoch && it.tick_ms.is_some_and(|at| at <= now_ms) => {
                it.tick_ms = None;
            }
            _ => return Ok(()),
        }
        self.tell_time()
    }

    pub(super) fn pulses(&mut self, epoch: u64) -> Check {
        if !self.is_life(epoch) {
            return Ok(());
        }
        self.agenda.plan(self.now_ms + self.profile.tick_ms, Event::Pulse(epoch));
        self.tell_time()
    }

    fn tell_time(&mut self) -> Check {
        if self.sabotage == Sabotage::NoTicks {
            return Ok(());
        }
        self.feed(Input::Tick)
    }

    fn plan_tick(&mut self) {
        let Some(coordinator) = &mut self.coordinator else {
            return;
        };
        let Some(deadline_ms) = coordinator.core.next_deadline_ms() else {
            return;
        };
        let at_ms = deadline_ms.saturating_sub(coordinator.offset_ms).max(self.now_ms);
        if coordinator.tick_ms.is_none_or(|planned| at_ms < planned) {
            coordinator.tick_ms = Some(at_ms);
            self.agenda.plan(at_ms, Event::Tick(coordinator.epoch));
        }
    }

    fn is_life(&self, epoch: u64) -> bool {
        self.coordinator.as_ref().is_some_and(|coordinator| coordinator.epoch == epoch)
    }

    /// The process dies: its memory is gone, its links break, and of its disk only what is durable is left.
    pub(super) fn coordinator_crashes(&mut self) -> Check {
        self.fuse = None;
        let Some(coordinator) = self.coordinator.take() else {
            return Ok(());
        };
        self.coverage.saw("a coordinator crash");
        let torn = self.sabotage == Sabotage::TornOutbox;
        let wreck = self.disk.crash(&mut self.dice, torn);
        self.say(|| format!("coordinator crashes: {wreck:?}"));
        if wreck.lost > 0 {
            self.coverage.saw("a crash that lost records");
            if wreck.survived > 0 {
                self.coverage.saw("a crash that kept a part of a sync");
            }
        }
        drop(coordinator);
        self.coordinator_ends_all_links();
        let longest_ms = 2 * self.profile.settings.lease_ms;
        let down_ms = Dice::between(&mut self.dice, 20, longest_ms);
        self.agenda.plan(self.now_ms + down_ms, Event::CoordinatorStarts);
        Ok(())
    }
}

/// Whether a record brings anything nearer to its end; workers that come and go do not.
fn is_progress(record: &Record) -> bool {
    !matches!(record, Record::Worker(_) | Record::WorkerGone(_))
}

/// A step in a line or a few.
fn shown(input: &Input, out: &Outbox) -> String {
    let mut lines = vec![format!("{input:?}")];
    lines.extend(out.records.iter().map(|it| format!("keep {it:?}")));
    lines.extend(out.orders.iter().map(|it| format!("{it:?}")));
    lines.extend(out.replies.iter().map(|it| format!("{it:?}")));
    lines.join("\n            ")
}
