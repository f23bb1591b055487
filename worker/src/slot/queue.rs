//! Who runs what: attempts that wait, grouped by the container they need, and the seats (one per slot) that take them.
//!
//! ```text
//! submitted ─► waiting ──claim──► at a seat ──finish──► forgotten
//!                 ▲  └─ stop, give back ─► forgotten │
//!                 └────────────── put back ◄─────────┘   (its container went away under another's run)
//! ```
//!
//! A seat *offers itself* an attempt before it can run it, so that its input is there in time; the attempt stays in the
//! group until the seat claims it, and an idle seat may claim it first. So nothing ever waits behind a long run while
//! another slot is free, and whatever happens to a waiting attempt needs no word with the seat that prepares it.
//!
//! This is a plain data structure under one lock: no clock, no tasks.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use super::key::{Key, Keys};
use crate::work::{Work, WorkId};

/// A group that no seat serves waits at most this long behind others; then a seat changes over to it.
const PATIENCE: Duration = Duration::from_secs(1);

/// Work that a seat with quick items will soon have done waits this long before another container is started for it.
const SPREAD_AFTER: Duration = Duration::from_millis(100);

/// The place of an attempt in the order of arrival; never used twice.
pub(crate) type Ticket = u64;

/// An attempt on offer to a seat, or taken by it.
#[derive(Debug, Clone)]
pub(crate) struct Offer {
    pub ticket: Ticket,
    pub key: Arc<Key>,
    pub work: Arc<Work>,
    /// When it was submitted.
    pub since: Instant,
    /// How often a container was not fit to run it.
    pub returns: u8,
}

/// What an idle seat shall do.
#[derive(Debug)]
pub(crate) enum Next {
    /// Prepare this and claim it.
    Offer(Offer),
    /// Sleep until woken, or until then.
    Wait(Option<Instant>),
    /// Leave: the executor is shutting down.
    Close,
}

/// What a seat would do with more work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Appetite {
    /// It has nothing to do since then.
    Idle(Instant),
    /// It runs something and has room to prepare more of the same.
    Room,
    Full,
}

struct Seat {
    /// What its container is for, or will be for.
    key: Option<Arc<Key>>,
    /// Its container is up and its items are quick.
    quick: bool,
    appetite: Appetite,
}

struct Entry {
    offer: Offer,
    /// The seat that prepares it.
    prepared_by: Option<usize>,
}

enum Place {
    Waiting(Arc<Key>),
    Seat(usize),
}

struct Held {
    ticket: Ticket,
    place: Place,
}

/// The queue.
pub(crate) struct Queue {
    tickets: Ticket,
    keys: Keys,
    groups: HashMap<Arc<Key>, BTreeMap<Ticket, Entry>>,
    held: HashMap<WorkId, Held>,
    seats: Vec<Seat>,
    closed: bool,
}

/// Seats to wake.
pub(crate) type Wake = Vec<usize>;

impl Queue {
    pub(crate) fn new(seats: usize, now: Instant) -> Self {
        let seat = || Seat { key: None, quick: false, appetite: Appetite::Idle(now) };
        Self {
            tickets: 0,
            keys: Keys::default(),
            groups: HashMap::new(),
            held: HashMap::new(),
            seats: std::iter::repeat_with(seat).take(seats).collect(),
            closed: false,
        }
    }

    /// Adds attempts; those already held are left as they are.
    pub(crate) fn submit(&mut self, work: Vec<Work>, now: Instant) -> Wake {
        let mut added: Vec<(Arc<Key>, usize)> = Vec::new();
        for work in work {
            if self.closed || self.held.contains_key(&work.id) {
                continue;
            }
            let key = self.keys.of(&work);
            self.tickets += 1;
            let ticket = self.tickets;
            self.insert(Offer { ticket, key: Arc::clone(&key), work: Arc::new(work), since: now, returns: 0 });
            match added.last_mut() {
                Some((last, count)) if *last == key => *count += 1,
                _ => added.push((key, 1)),
            }
        }
        added.iter().flat_map(|(key, count)| self.wake(key, *count)).collect()
    }

    /// Puts an attempt back that did not get its chance.
    pub(crate) fn put_back(&mut self, offer: Offer) -> Wake {
        if self.held.get(&offer.work.id).is_none_or(|held| held.ticket != offer.ticket) {
            return Wake::new();
        }
        let key = Arc::clone(&offer.key);
        self.insert(offer);
        self.wake(&key, 1)
    }

    fn insert(&mut self, offer: Offer) {
        let place = Place::Waiting(Arc::clone(&offer.key));
        self.held.insert(offer.work.id, Held { ticket: offer.ticket, place });
        let group = self.groups.entry(Arc::clone(&offer.key)).or_default();
        group.insert(offer.ticket, Entry { offer, prepared_by: None });
    }

    /// What a seat may prepare for the container it has, to run after or beside what it runs now.
    pub(crate) fn more(&mut self, seat: usize, quick: bool, now: Instant) -> Option<Offer> {
        self.seats[seat].quick = quick;
        self.seats[seat].appetite = Appetite::Full;
        if self.closed || self.neglected(now).is_some() {
            return None;
        }
        let key = self.seats[seat].key.clone()?;
        let offer = self.offer(&key, seat, false);
        if offer.is_none() {
            self.seats[seat].appetite = Appetite::Room;
        }
        offer
    }

    /// What a seat with nothing to do shall do.
    pub(crate) fn next(&mut self, seat: usize, now: Instant) -> Next {
        if self.closed {
            return Next::Close;
        }
        let matching = self.seats[seat].key.clone();
        let neglected = self.neglected(now);
        for key in neglected.into_iter().chain(matching) {
            if let Some(offer) = self.take_up(&key, seat) {
                return Next::Offer(offer);
            }
        }
        let mut until: Option<Instant> = None;
        for key in self.by_arrival() {
            if let Some(hold) = self.hold(&key).filter(|hold| *hold > now) {
                until = Some(until.map_or(hold, |until| until.min(hold)));
            } else if let Some(offer) = self.take_up(&key, seat) {
                return Next::Offer(offer);
            }
        }
        self.seats[seat].appetite = Appetite::Idle(now);
        Next::Wait(until)
    }

    fn take_up(&mut self, key: &Arc<Key>, seat: usize) -> Option<Offer> {
        let offer = self.offer(key, seat, true)?;
        if self.seats[seat].key.as_ref() != Some(key) {
            self.seats[seat].quick = false;
            self.seats[seat].key = Some(Arc::clone(key));
        }
        self.seats[seat].appetite = Appetite::Full;
        Some(offer)
    }

    /// The group no seat serves whose first attempt has waited longest, if that is too long.
    fn neglected(&self, now: Instant) -> Option<Arc<Key>> {
        if self.groups.len() < 2 {
            return None;
        }
        let waited = |group: &BTreeMap<Ticket, Entry>| {
            group.values().next().is_some_and(|first| now.duration_since(first.offer.since) > PATIENCE)
        };
        self.groups
            .iter()
            .filter(|(key, group)| waited(group) && !self.seats.iter().any(|seat| seat.key.as_ref() == Some(key)))
            .min_by_key(|(_, group)| group.keys().next().copied())
            .map(|(key, _)| Arc::clone(key))
    }

    /// Until when a group is left to the quick seats that serve it.
    fn hold(&self, key: &Arc<Key>) -> Option<Instant> {
        let served = self.seats.iter().any(|seat| seat.quick && seat.key.as_ref() == Some(key));
        let first = self.groups.get(key)?.values().next()?;
        served.then(|| first.offer.since + SPREAD_AFTER)
    }

    fn by_arrival(&self) -> Vec<Arc<Key>> {
        let mut groups: Vec<_> = self.groups.iter().map(|(key, group)| (group.keys().next(), key)).collect();
        groups.sort_unstable_by_key(|(first, _)| *first);
        groups.into_iter().map(|(_, key)| Arc::clone(key)).collect()
    }

    /// The first attempt of a group that no other seat prepares; for an idle seat also one that another prepares.
    fn offer(&mut self, key: &Arc<Key>, seat: usize, idle: bool) -> Option<Offer> {
        let group = self.groups.get_mut(key)?;
        let free = |entry: &Entry| entry.prepared_by.is_none_or(|by| by == seat);
        let ticket = group.iter().find(|(_, entry)| free(entry)).map(|(ticket, _)| *ticket);
        let ticket = ticket.or_else(|| group.keys().next().copied().filter(|_| idle))?;
        let entry = group.get_mut(&ticket)?;
        entry.prepared_by = Some(seat);
        Some(entry.offer.clone())
    }

    /// Takes an attempt for good. False when it is no longer there to take.
    pub(crate) fn claim(&mut self, seat: usize, offer: &Offer) -> bool {
        if !self.remove(&offer.key, offer.ticket) {
            return false;
        }
        if let Some(held) = self.held.get_mut(&offer.work.id) {
            held.place = Place::Seat(seat);
        }
        true
    }

    /// A seat no longer prepares this attempt.
    pub(crate) fn decline(&mut self, seat: usize, offer: &Offer) -> Wake {
        let entry = self.groups.get_mut(&offer.key).and_then(|group| group.get_mut(&offer.ticket));
        match entry {
            Some(entry) if entry.prepared_by == Some(seat) => entry.prepared_by = None,
            _ => return Wake::new(),
        }
        self.wake(&offer.key, 1)
    }

    /// A seat's container is gone.
    pub(crate) fn vacate(&mut self, seat: usize) {
        self.seats[seat].key = None;
        self.seats[seat].quick = false;
    }

    /// An attempt has ended. False when nobody wants to hear of it any more.
    pub(crate) fn finish(&mut self, offer: &Offer) -> bool {
        let held = self.held.get(&offer.work.id).is_some_and(|held| held.ticket == offer.ticket);
        held && self.held.remove(&offer.work.id).is_some()
    }

    /// Whether some seat has nothing to do.
    pub(crate) fn someone_is_idle(&self) -> bool {
        self.seats.iter().any(|seat| matches!(seat.appetite, Appetite::Idle(_)))
    }

    /// Forgets attempts; answers those that are at a seat.
    pub(crate) fn stop(&mut self, ids: &[WorkId]) -> Vec<(usize, WorkId)> {
        let mut at_seats = Vec::new();
        for id in ids {
            match self.held.remove(id) {
                Some(Held { place: Place::Seat(seat), .. }) => at_seats.push((seat, *id)),
                Some(Held { place: Place::Waiting(key), ticket }) => {
                    self.remove(&key, ticket);
                }
                None => {}
            }
        }
        at_seats
    }

    /// Gives back attempts that wait; answers them, and those that are at a seat.
    pub(crate) fn give_back(&mut self, ids: &[WorkId]) -> (Vec<Arc<Work>>, Vec<(usize, WorkId)>) {
        let (mut back, mut at_seats) = (Vec::new(), Vec::new());
        for id in ids {
            let place = self.held.get(id).map(|held| (held.ticket, &held.place));
            let (ticket, key) = match place {
                Some((ticket, Place::Waiting(key))) => (ticket, Arc::clone(key)),
                Some((_, Place::Seat(seat))) => {
                    at_seats.push((*seat, *id));
                    continue;
                }
                None => continue,
            };
            back.extend(self.groups.get(&key).and_then(|group| group.get(&ticket)).map(|e| Arc::clone(&e.offer.work)));
            self.remove(&key, ticket);
            self.held.remove(id);
        }
        (back, at_seats)
    }

    /// All attempts held, in no order.
    pub(crate) fn held(&self) -> Vec<WorkId> {
        self.held.keys().copied().collect()
    }

    /// Whether anything waits or runs here.
    pub(crate) fn holds_any(&self) -> bool {
        !self.held.is_empty()
    }

    /// No more work is handed out.
    pub(crate) fn close(&mut self) {
        self.closed = true;
        self.groups.clear();
        self.held.clear();
    }

    fn remove(&mut self, key: &Arc<Key>, ticket: Ticket) -> bool {
        let Some(group) = self.groups.get_mut(key) else { return false };
        let removed = group.remove(&ticket).is_some();
        if group.is_empty() {
            self.groups.remove(key);
        }
        removed
    }

    /// Seats to wake for new work of a group: idle ones (with the right container first, then with none, then those
    /// idle longest), and busy ones with the right container that could prepare it.
    fn wake(&mut self, key: &Arc<Key>, count: usize) -> Wake {
        let mut idle = Vec::new();
        let mut wake = Wake::new();
        for (index, seat) in self.seats.iter_mut().enumerate() {
            match seat.appetite {
                Appetite::Idle(since) if seat.key.as_ref() == Some(key) => idle.push((0, since, index)),
                Appetite::Idle(since) => idle.push((1 + u8::from(seat.key.is_some()), since, index)),
                Appetite::Room if seat.key.as_ref() == Some(key) => {
                    seat.appetite = Appetite::Full;
                    wake.push(index);
                }
                _ => {}
            }
        }
        idle.sort_unstable();
        for (_, _, index) in idle.into_iter().take(count) {
            self.seats[index].appetite = Appetite::Full;
            wake.push(index);
        }
        wake
    }
}

#[cfg(test)]
mod tests;
