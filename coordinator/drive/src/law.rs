//! Records before effects: batches on their way to the disk, and what waits for them.

use std::collections::{BTreeMap, VecDeque};

use longshore_core::{Order, Outbox, Record, Reply, RequestId};

use crate::{Effects, LinkId, Links, Rule, Rules};

/// Where the records of one batch are written down, to be kept together or not at all.
pub trait Page {
    /// The batch as the store takes it.
    type Batch: std::fmt::Debug;

    /// Adds the records of one outbox, in order.
    fn add(&mut self, records: Vec<Record>);

    /// Whether further outboxes go into the next batch.
    fn is_full(&self) -> bool;

    /// The batch.
    fn finish(self) -> Self::Batch;
}

/// What can be done next.
#[derive(Debug)]
pub enum Next<'a, B, X> {
    /// Nothing, until something happens or the batch that is on its way is durable.
    Wait,
    /// This may leave.
    Release(Effects<X>),
    /// This batch has to be made durable; then comes [`Law::kept`], or [`Law::found_no_room`].
    Keep(&'a B),
}

/// What waits for records to be durable.
#[derive(Debug)]
struct Waiting<X> {
    shown: Vec<X>,
    /// With the link that spoke for the worker when the order was given.
    orders: Vec<(LinkId, Order)>,
    replies: Vec<(RequestId, Reply)>,
    told: Vec<X>,
}

impl<X> Default for Waiting<X> {
    fn default() -> Self {
        Self { shown: Vec::new(), orders: Vec::new(), replies: Vec::new(), told: Vec::new() }
    }
}

impl<X> Waiting<X> {
    fn is_empty(&self) -> bool {
        self.shown.is_empty() && self.orders.is_empty() && self.replies.is_empty() && self.told.is_empty()
    }
}

/// The law of records and effects. `P` is where batches are written down, `X` what the driver wants done in its turn.
#[derive(Debug)]
pub struct Law<P: Page, X> {
    rules: Rules,
    /// An empty page, to begin batches with.
    blank: P,
    /// Records that are in no batch yet: one list per outbox.
    records: VecDeque<Vec<Record>>,
    /// Led to by them, or by what is on its way.
    waiting: Waiting<X>,
    on_its_way: Option<OnItsWay<P::Batch, X>>,
}

#[derive(Debug)]
struct OnItsWay<B, X> {
    batch: B,
    waiting: Waiting<X>,
    no_room: bool,
}

impl<P: Page + Clone, X> Law<P, X> {
    /// Nothing has happened. Each batch begins as a copy of `blank`.
    pub fn new(blank: P, rules: Rules) -> Self {
        Self { rules, blank, records: VecDeque::new(), waiting: Waiting::default(), on_its_way: None }
    }

    /// Takes in what the core answered. Orders are for the links that are up now: a later one begins with a hello, which settles
    /// everything anew.
    pub fn take(&mut self, out: Outbox, links: &Links) {
        if !out.records.is_empty() {
            self.records.push_back(out.records);
        }
        let addressed = out.orders.into_iter().filter_map(|order| Some((links.of(order.worker())?, order)));
        self.waiting.orders.extend(addressed);
        self.waiting.replies.extend(out.replies);
    }

    /// To be shown when everything that the core has decided so far is durable.
    pub fn show(&mut self, shown: X) {
        self.waiting.shown.push(shown);
    }

    /// As [`Law::show`], for somebody who looks and waits. With a full disk they are told so instead: then this is handed back
    /// by [`Law::found_no_room`], or at once.
    ///
    /// # Errors
    /// What was to be told, while there is no room on the disk.
    pub fn tell(&mut self, told: X) -> Result<(), X> {
        if self.has_no_room() {
            return Err(told);
        }
        self.waiting.told.push(told);
        Ok(())
    }

    /// What can be done next. Whoever drives asks again and again until it has to wait.
    pub fn advance(&mut self, links: &Links) -> Next<'_, P::Batch, X> {
        let hasty = self.hasty();
        if !hasty.is_empty() {
            return Next::Release(self.release(hasty, links));
        }
        if self.on_its_way.is_some() {
            return Next::Wait;
        }
        if self.records.is_empty() {
            if self.waiting.is_empty() {
                return Next::Wait;
            }
            let waiting = std::mem::take(&mut self.waiting);
            return Next::Release(self.release(waiting, links));
        }
        let batch = self.fill().finish();
        let all = self.records.is_empty() || !self.rules.hold(Rule::EffectsWaitForAll);
        let waiting = if all { std::mem::take(&mut self.waiting) } else { Waiting::default() };
        let on_its_way = self.on_its_way.insert(OnItsWay { batch, waiting, no_room: false });
        Next::Keep(&on_its_way.batch)
    }

    /// The batch that was on its way is durable: what waited for it may leave.
    pub fn kept(&mut self, links: &Links) -> Effects<X> {
        let waiting = self.on_its_way.take().map(|on_its_way| on_its_way.waiting).unwrap_or_default();
        self.release(waiting, links)
    }

    /// The batch that was on its way found no room, and nothing of it is kept. It has to go again, see [`Law::again`]. Answers
    /// those who wanted to look and shall not wait for room.
    pub fn found_no_room(&mut self) -> Vec<X> {
        let mut told = std::mem::take(&mut self.waiting.told);
        if !self.rules.hold(Rule::BatchesGoAgain)
            && let Some(on_its_way) = self.on_its_way.take()
        {
            self.waiting.orders.extend(on_its_way.waiting.orders);
            self.waiting.replies.extend(on_its_way.waiting.replies);
            return told;
        }
        if let Some(on_its_way) = &mut self.on_its_way {
            on_its_way.no_room = true;
            told.append(&mut on_its_way.waiting.told);
        }
        told
    }

    /// The batch that found no room, to be tried once more.
    pub fn again(&self) -> Option<&P::Batch> {
        self.on_its_way.as_ref().filter(|on_its_way| on_its_way.no_room).map(|on_its_way| &on_its_way.batch)
    }

    /// Whether a batch is on its way.
    pub fn is_keeping(&self) -> bool {
        self.on_its_way.is_some()
    }

    /// Whether the last try to keep anything found no room.
    pub fn has_no_room(&self) -> bool {
        self.on_its_way.as_ref().is_some_and(|on_its_way| on_its_way.no_room)
    }

    /// Whether everything is durable and has left.
    pub fn is_idle(&self) -> bool {
        self.on_its_way.is_none() && self.records.is_empty() && self.waiting.is_empty()
    }

    /// Whether the welcome on this link has not left.
    pub fn keeps_welcome(&self, link: LinkId) -> bool {
        let on_its_way = self.on_its_way.iter().flat_map(|on_its_way| &on_its_way.waiting.orders);
        let mut orders = on_its_way.chain(&self.waiting.orders);
        orders.any(|(own, order)| *own == link && matches!(order, Order::Welcome { .. }))
    }

    /// A batch of whole outboxes, as many as go on a page; at least one.
    fn fill(&mut self) -> P {
        let mut page = self.blank.clone();
        let mut empty = true;
        while (empty || !page.is_full())
            && let Some(mut outbox) = self.records.pop_front()
        {
            if !self.rules.hold(Rule::OutboxesStayWhole) && outbox.len() > 1 {
                let rest = outbox.split_off(outbox.len() / 2);
                self.records.push_front(rest);
                page.add(outbox);
                break;
            }
            page.add(outbox);
            empty = false;
        }
        page
    }

    /// Orders whose link has ended meanwhile go nowhere.
    fn release(&self, waiting: Waiting<X>, links: &Links) -> Effects<X> {
        let Waiting { shown, orders: given, replies, told } = waiting;
        let mut orders: BTreeMap<LinkId, Vec<Order>> = BTreeMap::new();
        let mut dropped = 0;
        for (link, order) in given {
            let now = links.of(order.worker());
            let wanted = if self.rules.hold(Rule::OrdersKeepTheirLink) { now.filter(|now| *now == link) } else { now };
            match wanted {
                Some(link) => orders.entry(link).or_default().push(order),
                None => dropped += 1,
            }
        }
        Effects { shown, orders, replies, told, dropped }
    }

    /// What does not wait, because a rule is broken.
    fn hasty(&mut self) -> Waiting<X> {
        let mut hasty = Waiting::default();
        if !self.rules.hold(Rule::RepliesWait) {
            hasty.replies = std::mem::take(&mut self.waiting.replies);
        }
        if !self.rules.hold(Rule::OrdersWait) {
            hasty.orders = std::mem::take(&mut self.waiting.orders);
        }
        if !self.rules.hold(Rule::ViewsWait) {
            hasty.shown = std::mem::take(&mut self.waiting.shown);
            hasty.told = std::mem::take(&mut self.waiting.told);
        }
        hasty
    }
}

#[cfg(test)]
mod tests;
