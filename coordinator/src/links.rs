//! The links to workers that are up, and the way orders take to them.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use longshore_core::{Order, WorkerId};
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

struct Link {
    about: About,
    serial: u64,
    // Unbounded, but what a worker may hold is bounded by the core.
    orders: mpsc::UnboundedSender<Vec<Order>>,
}

impl Links {
    /// Registers a link. An earlier one of the same worker ends, since its orders end.
    pub fn register(&self, worker: WorkerId, about: About) -> (u64, Orders) {
        let (orders, inbox) = mpsc::unbounded_channel();
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let serial = self.serials.fetch_add(1, Ordering::Relaxed);
        links.insert(worker, Link { about, serial, orders });
        (serial, inbox)
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
