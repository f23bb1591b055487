//! Workers and who holds which attempt: soft state, rebuilt from what workers say when they connect.
//!
//! Here alone attempts are numbered, given and taken, so a worker's list of attempts and an attempt's worker always agree.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    clientele::Clientele,
    idle::IdleSlots,
    kind::Kind,
    ranking::{Group, Ranking},
    rest::Rest,
};
use crate::{
    fit::{Lack, Misfit, Needs, Offer, Usage, could, distance, fit},
    ids::{AttemptId, Incarnation, ItemKey, Namespace, Now, WorkerId},
};

/// Who says hello.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub worker: WorkerId,
    pub incarnation: Incarnation,
    pub previous: Option<Incarnation>,
    pub name: String,
    pub slots: u32,
    pub clientele: Clientele,
    pub offer: Arc<Offer>,
}

/// A worker that has said hello and whose lease runs.
#[derive(Debug)]
pub(crate) struct Worker {
    pub incarnation: Incarnation,
    pub name: String,
    /// None while it takes nothing.
    pub slots: u32,
    /// What it has in common with all workers of the group.
    group: Group,
    pub offer: Arc<Offer>,
    pub connected: bool,
    /// When it could last be reached, as far as is known, steady milliseconds.
    pub heard_ms: u64,
    /// In the order they were given out.
    pub attempts: BTreeSet<AttemptId>,
    /// Those of them that are counted exactly, and what they need.
    counted: BTreeMap<AttemptId, Arc<Needs>>,
    /// What all of them use.
    usage: Usage,
    /// The item that is to be alone here: nothing else is given to it until that has run.
    pub ward: Option<ItemKey>,
    /// It is given nothing more.
    pub draining: bool,
}

impl Worker {
    /// How full it is, in 1/1024 of its slots.
    fn load(&self) -> u64 {
        self.usage.load(&self.offer, self.slots)
    }

    /// What its attempts use, from nothing.
    fn count(&mut self) {
        self.usage = Usage::default();
        for id in &self.attempts {
            match self.counted.get(id) {
                Some(needs) => self.usage.count_heavy(needs, &self.offer, self.slots, true),
                None => self.usage.count_light(true),
            }
        }
    }

    fn begin(&mut self, id: AttemptId, needs: Option<&Arc<Needs>>) {
        if !self.attempts.insert(id) {
            return;
        }
        match needs.filter(|needs| self.offer.counts(needs, self.slots)) {
            Some(needs) => {
                self.usage.count_heavy(needs, &self.offer, self.slots, true);
                self.counted.insert(id, Arc::clone(needs));
            }
            None => self.usage.count_light(true),
        }
    }

    fn end(&mut self, id: AttemptId) {
        if !self.attempts.remove(&id) {
            return;
        }
        match self.counted.remove(&id) {
            Some(needs) => self.usage.count_heavy(&needs, &self.offer, self.slots, false),
            None => self.usage.count_light(false),
        }
    }

    /// Why it is given nothing, whatever there is.
    pub fn rest(&self) -> Option<Rest> {
        Rest::of(self.connected, self.slots, self.draining, self.ward.is_some())
    }

    /// Whether something is counted there: then it is given nothing ahead.
    pub fn is_counted(&self) -> bool {
        self.usage.is_counted()
    }

    /// Whether such work is counted exactly there.
    pub fn counts(&self, needs: Option<&Needs>) -> bool {
        needs.is_some_and(|needs| self.offer.counts(needs, self.slots))
    }

    /// Whether work that needs this can be given to it now, as far as its room goes.
    pub fn fit(&self, needs: Option<&Needs>) -> Result<(), Misfit> {
        fit(needs, &self.offer, self.slots, &self.usage)
    }

    /// What it holds beyond its slots, the newest first.
    fn queued(&self) -> impl Iterator<Item = AttemptId> {
        self.attempts.iter().skip(self.slots as usize).rev().copied()
    }
}

/// An attempt that some worker holds.
#[derive(Debug, Clone, Copy)]
struct Held {
    item: ItemKey,
    worker: WorkerId,
    /// When it was given to it, or found with it, unix milliseconds: for people.
    since_ms: u64,
}

/// A worker that has gone.
#[derive(Debug)]
pub(crate) struct Gone {
    pub name: String,
    pub incarnation: Incarnation,
    pub slots: u32,
    /// What it held, in the order it was given out.
    pub held: Vec<(AttemptId, ItemKey)>,
}

/// All workers and attempts.
#[derive(Debug)]
pub(crate) struct Fleet {
    workers: BTreeMap<WorkerId, Worker>,
    attempts: BTreeMap<AttemptId, Held>,
    /// Of the attempts those that were asked back.
    returning: BTreeSet<AttemptId>,
    /// The newest attempt that was given out.
    newest: AttemptId,
    /// Up to date but for those in `stale`.
    ranking: Ranking,
    stale: BTreeSet<WorkerId>,
    /// Workers that are kept for an item.
    wards: BTreeSet<WorkerId>,
    /// No worker was heard before that.
    heard_ms: Option<u64>,
    /// The time of this step: for people alone.
    now: Now,
}

impl Fleet {
    /// Nobody, in an epoch in which nothing was given out.
    pub fn new(epoch: u64) -> Self {
        Self {
            workers: BTreeMap::new(),
            attempts: BTreeMap::new(),
            returning: BTreeSet::new(),
            newest: AttemptId { epoch, number: 0 },
            ranking: Ranking::default(),
            stale: BTreeSet::new(),
            wards: BTreeSet::new(),
            heard_ms: None,
            now: Now { steady_ms: 0, wall_ms: 0 },
        }
    }

    /// What people's clocks show from now on.
    pub fn tell_the_time(&mut self, now: Now) {
        self.now = now;
    }

    /// The time of the last step: for people alone.
    pub fn time(&self) -> Now {
        self.now
    }

    /// The worker, if its lease runs.
    pub fn worker(&self, id: WorkerId) -> Option<&Worker> {
        self.workers.get(&id)
    }

    /// Every worker whose lease runs.
    pub fn workers(&self) -> impl Iterator<Item = (WorkerId, &Worker)> {
        self.workers.iter().map(|(id, worker)| (*id, worker))
    }

    /// Every worker that can be reached.
    pub fn connected(&self) -> impl Iterator<Item = WorkerId> {
        self.workers.iter().filter(|(_, worker)| worker.connected).map(|(id, _)| *id)
    }

    /// Every worker that can be reached, takes work, and could be given that of this namespace which needs this.
    pub fn takers_for(&self, namespace: &Namespace, needs: Option<&Needs>) -> impl Iterator<Item = WorkerId> {
        let takes = |(_, worker): &(&WorkerId, &Worker)| matches!(worker.rest(), None | Some(Rest::Kept));
        let takers = self.workers.iter().filter(takes).map(|(id, _)| *id);
        takers.filter(move |id| self.may_have(*id, namespace, needs))
    }

    /// The worker for work of this namespace that lacks the least of what this needs, and the first thing that it lacks.
    pub fn nearest(&self, namespace: &Namespace, needs: Option<&Needs>) -> Option<(&str, Option<Lack>)> {
        let may = self.workers.iter().filter(|(id, _)| self.clientele(**id).has(namespace));
        let (_, nearest) = may.min_by_key(|(_, worker)| distance(needs, &worker.offer))?;
        Some((&nearest.name, could(needs, &nearest.offer).err()))
    }

    /// Whether the worker could ever be given work of this namespace that needs this.
    pub fn may_have(&self, id: WorkerId, namespace: &Namespace, needs: Option<&Needs>) -> bool {
        match self.workers.get(&id).and_then(|worker| self.ranking.kind(worker.group)) {
            Some(kind) => kind.may_have(namespace, needs),
            None => true,
        }
    }

    /// What the workers of a group have in common; `None` while nobody is of it.
    pub fn kind(&self, group: Group) -> Option<&Kind> {
        self.ranking.kind(group)
    }

    /// The groups that have come or gone since this was last asked.
    pub fn changed_groups(&mut self) -> Vec<Group> {
        self.ranking.changed()
    }

    /// Whether a worker can be reached that may be given work of this namespace, whether it takes any now or not.
    pub fn has_any_for(&self, namespace: &Namespace) -> bool {
        self.connected().any(|id| self.clientele(id).has(namespace))
    }

    /// Whose work the worker may be given.
    pub fn clientele(&self, id: WorkerId) -> &Clientele {
        static EVERYBODY: Clientele = Clientele::Everybody;
        let kind = self.workers.get(&id).and_then(|worker| self.ranking.kind(worker.group));
        kind.map_or(&EVERYBODY, |kind| &kind.clientele)
    }

    /// Whether this is the life of the worker that is known.
    pub fn is_life(&self, worker: WorkerId, incarnation: Incarnation) -> bool {
        self.workers.get(&worker).is_some_and(|known| known.incarnation == incarnation)
    }

    fn life(&mut self, worker: WorkerId, incarnation: Incarnation) -> Option<&mut Worker> {
        self.workers.get_mut(&worker).filter(|known| known.incarnation == incarnation)
    }

    /// The worker could be reached then, if this is the life of it that is known.
    pub fn hear(&mut self, worker: WorkerId, incarnation: Incarnation, as_of_ms: u64) {
        if let Some(life) = self.life(worker, incarnation) {
            life.heard_ms = life.heard_ms.max(as_of_ms);
        }
    }

    /// The worker cannot be reached, if this is the life of it that is known; answers whether it is.
    pub fn disconnect(&mut self, worker: WorkerId, incarnation: Incarnation) -> bool {
        let Some(life) = self.life(worker, incarnation) else {
            return false;
        };
        life.connected = false;
        self.stale.insert(worker);
        true
    }

    /// The worker is here, or here again with what it held.
    pub fn join(&mut self, arrival: Arrival, now_ms: u64) {
        let Arrival { worker, incarnation, previous: _, name, slots, clientele, offer } = arrival;
        let group = self.ranking.enter(Kind { clientele, offer: Arc::clone(&offer), slots });
        self.heard_ms = Some(self.heard_ms.map_or(now_ms, |heard_ms| heard_ms.min(now_ms)));
        let known = self.workers.remove(&worker).map(|known| {
            self.ranking.leave(worker, known.group);
            (known.attempts, known.counted, known.ward)
        });
        let (attempts, counted, ward) = known.unwrap_or_default();
        let usage = Usage::default();
        let mut life = Worker {
            incarnation,
            name,
            slots,
            group,
            offer,
            connected: true,
            heard_ms: now_ms,
            attempts,
            counted,
            usage,
            ward,
            draining: false,
        };
        life.count();
        self.workers.insert(worker, life);
        self.stale.insert(worker);
    }

    /// The worker is gone, and holds nothing any more.
    pub fn leave(&mut self, id: WorkerId) -> Option<Gone> {
        self.stale.insert(id);
        self.wards.remove(&id);
        let Worker { incarnation, name, slots, attempts, group, .. } = self.workers.remove(&id)?;
        self.ranking.leave(id, group);
        let held = attempts.into_iter().filter_map(|attempt| Some((attempt, self.take(attempt, id)?))).collect();
        Some(Gone { incarnation, name, slots, held })
    }

    /// The emptiest connected worker of each group, with its load and its group.
    pub fn emptiest_of_each(&mut self) -> BTreeSet<(u64, WorkerId, Group)> {
        self.rank();
        self.ranking.emptiest_of_each()
    }

    /// The emptiest connected worker of this group behind that one, with its load and its group.
    pub fn emptiest_behind(&mut self, group: Group, last: Option<(u64, WorkerId)>) -> Option<(u64, WorkerId, Group)> {
        self.rank();
        self.ranking.emptiest_behind(group, last)
    }

    /// Brings the ranking up to date.
    fn rank(&mut self) {
        for id in std::mem::take(&mut self.stale) {
            match self.workers.get(&id).filter(|worker| worker.rest().is_none()) {
                Some(worker) => self.ranking.put(id, worker.group, worker.load(), worker.slots),
                None => self.ranking.remove(id),
            }
        }
    }

    /// The worker is given nothing more, or anything again.
    pub fn set_draining(&mut self, id: WorkerId, draining: bool) {
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.draining = draining;
            self.stale.insert(id);
        }
    }

    /// The worker is given nothing but this item from now on, or anything again.
    pub fn set_ward(&mut self, id: WorkerId, ward: Option<ItemKey>) {
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.ward = ward;
            self.stale.insert(id);
            if ward.is_some() {
                self.wards.insert(id)
            } else {
                self.wards.remove(&id)
            };
        }
    }

    /// Every worker that is kept for an item, and that item.
    pub fn wards(&self) -> impl Iterator<Item = (WorkerId, &Worker, ItemKey)> {
        let kept = self.wards.iter().filter_map(|id| Some((*id, self.workers.get(id)?)));
        kept.filter_map(|(id, worker)| Some((id, worker, worker.ward?)))
    }

    /// How full a worker is, in 1/1024 of its slots.
    pub fn load(&self, id: WorkerId) -> u64 {
        self.workers.get(&id).map_or(u64::MAX, Worker::load)
    }

    /// What falls to a worker of so many items of a namespace that need this when all connected ones that may have them share
    /// them, rounded up.
    pub fn share(&self, id: WorkerId, items: u64, namespace: &Namespace, needs: Option<&Needs>) -> u64 {
        self.ranking.share(id, items, namespace, needs)
    }

    /// A time before which no worker was heard, if there are workers. Exact after [`Fleet::look_at_leases`], and early by
    /// what they have said since.
    pub fn heard_ms(&self) -> Option<u64> {
        self.heard_ms
    }

    /// Looks when each worker was heard; answers those that are silent.
    pub fn look_at_leases(&mut self, silent: impl Fn(&Worker) -> bool) -> Vec<WorkerId> {
        self.heard_ms = self.workers.values().filter(|worker| !silent(worker)).map(|worker| worker.heard_ms).min();
        self.workers.iter().filter(|(_, worker)| silent(worker)).map(|(id, _)| *id).collect()
    }

    /// The item, which needs this, is given to the worker; answers the attempt's id.
    pub fn give(&mut self, item: ItemKey, needs: Option<&Arc<Needs>>, worker: WorkerId) -> AttemptId {
        self.newest.number += 1;
        self.hold(self.newest, item, needs, worker);
        self.newest
    }

    /// The worker holds an attempt, which needs this, that was given out before.
    pub fn hold(&mut self, id: AttemptId, item: ItemKey, needs: Option<&Arc<Needs>>, worker: WorkerId) {
        self.stale.insert(worker);
        self.attempts.insert(id, Held { item, worker, since_ms: self.now.wall_ms });
        if let Some(worker) = self.workers.get_mut(&worker) {
            worker.begin(id, needs);
        }
    }

    /// Takes the attempt off its worker, if that is who holds it; answers its item.
    pub fn take(&mut self, id: AttemptId, from: WorkerId) -> Option<ItemKey> {
        let held = *self.attempts.get(&id).filter(|held| held.worker == from)?;
        self.attempts.remove(&id);
        self.returning.remove(&id);
        self.stale.insert(from);
        if let Some(worker) = self.workers.get_mut(&from) {
            worker.end(id);
        }
        Some(held.item)
    }

    /// Who holds the attempt.
    pub fn holder(&self, id: AttemptId) -> Option<WorkerId> {
        self.attempts.get(&id).map(|held| held.worker)
    }

    /// The name of the worker that likely runs the attempt, and since when it has it, unix milliseconds. What a worker holds beyond
    /// its slots waits there.
    pub fn at_work(&self, id: AttemptId) -> Option<(&str, u64)> {
        let held = self.attempts.get(&id)?;
        let worker = self.workers.get(&held.worker)?;
        let runs = worker.attempts.iter().take(worker.slots as usize).any(|first| *first == id);
        runs.then_some((worker.name.as_str(), held.since_ms))
    }

    /// The item of an attempt that is held.
    pub fn item(&self, id: AttemptId) -> Option<ItemKey> {
        self.attempts.get(&id).map(|held| held.item)
    }

    /// Every attempt that is held: its item, and who holds it.
    pub fn attempts(&self) -> impl Iterator<Item = (AttemptId, ItemKey, WorkerId)> {
        self.attempts.iter().map(|(id, held)| (*id, held.item, held.worker))
    }

    /// Whether the attempt may have been given out, and no worker is known to hold it: or a worker that claims what is
    /// another's, or will be, would leave an item behind that nothing ends.
    pub fn is_nobodys(&self, id: AttemptId) -> bool {
        id <= self.newest && !self.attempts.contains_key(&id)
    }

    /// Slots of connected workers for which nothing is held, by the kind of work they may be given.
    pub fn idle_slots(&self) -> IdleSlots<'_> {
        let mut idle: BTreeMap<Group, u64> = BTreeMap::new();
        for worker in self.workers.values().filter(|worker| worker.rest().is_none()) {
            let slots = 1_024_u64.saturating_sub(worker.load()) * u64::from(worker.slots) / 1_024;
            if slots > 0 {
                *idle.entry(worker.group).or_default() += slots;
            }
        }
        IdleSlots::of(idle.into_iter().filter_map(|(group, slots)| Some((self.ranking.kind(group)?, slots))))
    }

    /// What a worker holds beyond its slots, the newest first.
    pub fn queued_on(&self, id: WorkerId) -> impl Iterator<Item = AttemptId> {
        self.workers.get(&id).into_iter().flat_map(Worker::queued)
    }

    /// The item of an attempt that is held and was not asked back.
    pub fn not_asked_back(&self, id: AttemptId) -> Option<ItemKey> {
        self.attempts.get(&id).filter(|_| !self.returning.contains(&id)).map(|held| held.item)
    }

    /// The attempt was asked back.
    pub fn ask_back(&mut self, id: AttemptId) {
        self.returning.insert(id);
    }

    /// The attempt was not asked back, or the order is lost.
    pub fn keep(&mut self, id: AttemptId) {
        self.returning.remove(&id);
    }

    /// The items of attempts that are likely on their way back: those that were asked back of a worker that has others to run
    /// first.
    pub fn coming_back(&self) -> impl Iterator<Item = ItemKey> {
        let queued = self.returning.iter().filter(|id| self.is_queued(**id));
        queued.filter_map(|id| self.attempts.get(id).map(|held| held.item))
    }

    /// Whether the attempt's worker can be reached, and holds enough for its slots that was given out before.
    pub fn is_queued(&self, id: AttemptId) -> bool {
        let holder = self.holder(id).and_then(|holder| self.workers.get(&holder));
        let connected = holder.filter(|worker| worker.connected);
        connected.is_some_and(|worker| worker.attempts.range(..id).count() >= worker.slots as usize)
    }
}
