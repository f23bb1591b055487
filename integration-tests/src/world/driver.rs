//! The coordinator's process around the drive that ships: it writes the batches it is handed, and carries out effects.
//!
//! Everything a driver could get wrong is in the drive; what is here stands for the loop, the disk and the sockets.

use std::collections::BTreeMap;

use longshore_core::{Core, Input, Now, Outbox, Record};
use longshore_drive::{Drive, Effects, Next, Rules};

use super::{
    agenda::Event,
    coordinator::{Coordinator, Look, Steps},
    disk::Page,
    fault::Fuse,
    net::{LinkId, Packet, Tell},
    oracle::{Check, Seen, demand},
    sabotage::Sabotage,
    state::World,
};

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
        let offset_ms = self.dice.below(1_000_000);
        let now = self.time(offset_ms);
        let core = Core::load(epoch, self.profile.settings, now, self.disk.kept().records());
        self.trail.say(self.now_ms, || format!("coordinator starts, epoch {epoch}"));
        self.oracle.loaded(&core, self.disk.kept(), epoch, now)?;
        let rules = match self.sabotage {
            Sabotage::Broken(rule) => Rules::but(rule),
            _ => Rules::default(),
        };
        self.coordinator = Some(Coordinator {
            drive: Drive::new(core, now, Page::of(self.profile.page_outboxes), Steps::default(), rules),
            epoch,
            offset_ms,
            stalled_until_ms: 0,
            askers: BTreeMap::new(),
            speaks: BTreeMap::new(),
            pinged: BTreeMap::new(),
            tick_ms: None,
        });
        if self.profile.tick_ms > 0 {
            self.agenda.plan(self.now_ms + self.profile.tick_ms, Event::Pulse(epoch));
        }
        self.plan_tick();
        Ok(())
    }

    /// Tells the drive what happened, checks what the core made of it, and carries out what may be.
    pub(super) fn feed<T: Default>(
        &mut self,
        tell: impl FnOnce(&mut Drive<Page, Box<Look>, Steps>, Now) -> T,
    ) -> Result<T, String> {
        let Some(mut coordinator) = self.coordinator.take() else {
            return Ok(T::default());
        };
        let now = self.time(coordinator.offset_ms);
        let told = tell(&mut coordinator.drive, now);
        let (turns, steps) = (coordinator.drive.turns(), coordinator.drive.witness().take());
        let mut decided = false;
        for (now, input, out) in &steps {
            decided |= !out.records.is_empty();
            self.step_is_right(coordinator.core(), *now, input, out)?;
            self.lives_are_treated_right(coordinator.offset_ms, input)?;
        }
        self.coordinator = Some(coordinator);
        self.plan_tick();
        for turn in turns {
            self.takes_turn(turn)?;
        }
        if decided && self.fuse == Some(Fuse::BeforeSync) {
            self.coverage.saw("a coordinator crash between deciding and syncing");
            self.coordinator_crashes()?;
        }
        self.goes_on()?;
        Ok(told)
    }

    fn step_is_right(&mut self, core: &Core, now: Now, input: &Input, out: &Outbox) -> Check {
        self.trail.say(self.now_ms, || shown(input, out));
        self.oracle.stepped(Seen { core, now, input, out }, &mut self.coverage)?;
        if *input == Input::Tick
            && let Some(next_ms) = core.next_deadline_ms()
        {
            demand!(next_ms > now.steady_ms, "a tick leaves a deadline {} ms in the past", now.steady_ms - next_ms);
        }
        if out.records.iter().any(is_progress) {
            self.progress_ms = self.now_ms;
        }
        Ok(())
    }

    /// Does whatever the drive says can be done.
    fn goes_on(&mut self) -> Check {
        while let Some(coordinator) = &mut self.coordinator {
            match coordinator.drive.advance() {
                Next::Wait => return Ok(()),
                Next::Release(effects) => self.carry_out(effects)?,
                Next::Keep(page) => {
                    let outboxes = self.disk.begin_sync(page);
                    let epoch = coordinator.epoch;
                    self.oracle.ledger_is_what_was_kept(coordinator.core())?;
                    self.plan_sync(epoch);
                    if outboxes > 1 {
                        self.coverage.saw("several outboxes in one sync");
                        if self.fuse == Some(Fuse::MidSync) {
                            return self.coordinator_crashes();
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn plan_sync(&mut self, epoch: u64) {
        let slowness = if self.disk.slow { 40 } else { 1 };
        let takes_ms = self.dice.between(1, self.profile.sync_ms) * slowness;
        self.agenda.plan(self.now_ms + takes_ms.min(3_000), Event::Synced(epoch));
    }

    /// The sync is done, or has found no room and is tried again.
    pub(super) fn synced(&mut self, epoch: u64) -> Check {
        let Some(coordinator) = self.coordinator.as_mut().filter(|it| it.epoch == epoch) else {
            return Ok(());
        };
        if self.disk.full {
            self.coverage.saw("a batch that found no room");
            let refused = coordinator.drive.found_no_room();
            self.disk.forget_sync();
            if let Some(page) = coordinator.drive.again() {
                self.disk.begin_sync(page);
                self.plan_sync(epoch);
            }
            for look in refused {
                self.coverage.saw("a look refused because the disk is full");
                self.looked_in_vain(look.request);
            }
            return self.goes_on();
        }
        self.disk.end_sync();
        if self.fuse == Some(Fuse::AfterSync) {
            self.coverage.saw("a coordinator crash between syncing and answering");
            return self.coordinator_crashes();
        }
        let effects = coordinator.drive.kept();
        self.carry_out(effects)?;
        self.plan_tick();
        self.goes_on()
    }

    fn carry_out(&mut self, effects: Effects<Box<Look>>) -> Check {
        if effects.dropped > 0 {
            self.coverage.saw("an order dropped with its link");
        }
        for (link, orders) in effects.orders {
            for order in orders {
                self.give(link.0, order)?;
            }
        }
        for (request, reply) in effects.replies {
            self.answer(request, &reply);
        }
        for look in effects.shown.into_iter().chain(effects.told) {
            self.is_shown(*look)?;
        }
        Ok(())
    }

    fn give(&mut self, id: LinkId, order: longshore_core::Order) -> Check {
        let Some(link) = self.net.links.get_mut(&id) else {
            return Ok(());
        };
        let first = !std::mem::replace(&mut link.welcomed, true);
        let welcome = matches!(order, longshore_core::Order::Welcome { .. });
        demand!(first == welcome, "the first order of a link is its welcome, not {order:?}");
        let urgent = std::mem::take(&mut link.urgent);
        self.send_down(id, Packet::Data(Tell::Order(order)));
        urgent.into_iter().for_each(|tell| self.send_down(id, Packet::Data(tell)));
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
        // It may have been planned for a time that has moved on.
        let late = self.feed(|drive, now| {
            let late =
                |drive: &Drive<_, _, _>| drive.newcomers().filter(|(_, due_ms)| *due_ms <= now.steady_ms).count();
            let before = late(drive);
            if before > 0 || drive.next_tick_ms().is_some_and(|due| due <= now.steady_ms) {
                drive.tick(now);
            }
            before > 0 && late(drive) >= before
        })?;
        demand!(!late, "somebody has waited long enough for the place of another, and does not get it");
        Ok(())
    }

    pub(super) fn pulses(&mut self, epoch: u64) -> Check {
        if self.coordinator.as_ref().is_none_or(|coordinator| coordinator.epoch != epoch) {
            return Ok(());
        }
        self.agenda.plan(self.now_ms + self.profile.tick_ms, Event::Pulse(epoch));
        self.feed(|drive, now| {
            if drive.next_tick_ms().is_some() {
                drive.tick(now);
            }
        })
    }

    fn plan_tick(&mut self) {
        let Some(coordinator) = &mut self.coordinator else {
            return;
        };
        let Some(deadline_ms) = coordinator.drive.next_tick_ms() else {
            return;
        };
        let at_ms = deadline_ms.saturating_sub(coordinator.offset_ms).max(self.now_ms);
        if coordinator.tick_ms.is_none_or(|planned| at_ms < planned || planned < self.now_ms) {
            coordinator.tick_ms = Some(at_ms);
            self.agenda.plan(at_ms, Event::Tick(coordinator.epoch));
        }
    }

    /// The process dies: its memory is gone, its links break, and of its disk only what is durable is left.
    pub(super) fn coordinator_crashes(&mut self) -> Check {
        self.fuse = None;
        let Some(coordinator) = self.coordinator.take() else {
            return Ok(());
        };
        self.coverage.saw("a coordinator crash");
        let wreck = self.disk.crash(&mut self.dice);
        self.say(|| format!("coordinator crashes: {wreck:?}"));
        if wreck.lost > 0 || !coordinator.drive.is_idle() {
            self.coverage.saw("a crash that lost records");
            if wreck.survived > 0 {
                self.coverage.saw("a crash that kept a part of a sync");
            }
        }
        drop(coordinator);
        self.coordinator_ends_all_links();
        let longest_ms = 2 * self.profile.settings.lease_ms;
        let down_ms = self.dice.between(20, longest_ms);
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
