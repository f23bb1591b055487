//! The links to workers that are up, and the way orders take to them.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use longshore_core::{Order, WorkerId};
use rand::Rng as _;
use tokio::sync::mpsc;

/// Orders for one link, in the order they were given.
pub type Orders = mpsc::UnboundedReceiver<Vec<Order>>;

/// All links that are up.
#[derive(Default)]
pub struct Links {
    links: Mutex<HashMap<WorkerId, Link>>,
    serials: AtomicU64,
    /// Held while a link comes or goes *and* the core is told of it: so the end of a link is never heard after the hello
    /// of the one that took its place.
    pub gate: tokio::sync::Mutex<()>,
}

/// What a worker says of itself, for people.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// "docker" or "process".
    pub runtime: String,
    /// Its program's version.
    pub version: String,
}

/// Bytes of a link's proof: the worker's id, and a secret.
const PROOF_BYTES: usize = 32;

/// What a worker shows, outside its link, to prove that the link is its own.
pub type Proof = [u8; PROOF_BYTES];

struct Link {
    about: About,
    serial: u64,
    proof: Proof,
    // Unbounded, but what a worker may hold is bounded by the core.
    orders: mpsc::UnboundedSender<Vec<Order>>,
}

impl Links {
    /// Registers a link. An earlier one of the same worker ends, since its orders end.
    pub fn register(&self, worker: WorkerId, about: About) -> (u64, Proof, Orders) {
        let (orders, inbox) = mpsc::unbounded_channel();
        let mut proof = [0; PROOF_BYTES];
        proof[..16].copy_from_slice(&worker.0);
        rand::rng().fill_bytes(&mut proof[16..]);
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let serial = self.serials.fetch_add(1, Ordering::Relaxed);
        links.insert(worker, Link { about, serial, proof, orders });
        (serial, proof, inbox)
    }

    /// Whether this is the proof of a link that is up.
    pub fn proves(&self, shown: &[u8]) -> bool {
        let Some(Ok(worker)) = shown.get(..16).map(TryInto::try_into) else { return false };
        let links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        // The comparison of blake3's hashes takes constant time.
        links.get(&WorkerId(worker)).is_some_and(|link| blake3::hash(&link.proof) == blake3::hash(shown))
    }

    /// Takes a link off, if no newer one has taken its place; answers whether that was so.
    pub fn remove(&self, worker: WorkerId, serial: u64) -> bool {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let ours = links.get(&worker).is_some_and(|link| link.serial == serial);
        if ours {
            links.remove(&worker);
        }
        ours
    }

    /// Whether this is still the worker's link.
    pub fn is_current(&self, worker: WorkerId, serial: u64) -> bool {
        let links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.get(&worker).is_some_and(|link| link.serial == serial)
    }

    /// Gives orders to a worker. They are dropped when its link is down: its next hello settles everything.
    pub fn give(&self, worker: WorkerId, orders: Vec<Order>) {
        let links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(link) = links.get(&worker) {
            // The link's task may have ended already.
            let _ = link.orders.send(orders);
        }
    }

    /// What a worker whose link is up says of itself.
    pub fn about(&self, worker: WorkerId) -> About {
        let links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.get(&worker).map(|link| link.about.clone()).unwrap_or_default()
    }

    /// Ends all links.
    pub fn close(&self) {
        self.links.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_good_as_long_as_its_link_is_up_and_nobody_elses() {
        let links = Links::default();
        let (one, other) = (WorkerId([1; 16]), WorkerId([2; 16]));
        let (first, proof, _orders) = links.register(one, About::default());
        let (_, others, _orders_too) = links.register(other, About::default());
        assert!(links.proves(&proof) && links.proves(&others));
        let mixed = [&proof[..16], &others[16..]].concat();
        for wrong in [&mixed[..], &proof[..31], &proof[..16], &[], &[0; 32]] {
            assert!(!links.proves(wrong), "{wrong:?}");
        }
        let (second, newer, _newer_orders) = links.register(one, About::default());
        assert!(!links.proves(&proof) && links.proves(&newer), "another link has taken its place");
        assert!(!links.remove(one, first) && links.remove(one, second));
        assert!(!links.proves(&newer));
    }
}
