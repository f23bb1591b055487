//! The links to workers that are up, and the way orders take to them.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use longshore_core::{Incarnation, Order, WorkerId};
use tokio::sync::mpsc;

/// Orders for one link, in the order they were given.
pub type Orders = mpsc::UnboundedReceiver<Vec<Order>>;

/// All links that are up.
#[derive(Default)]
pub struct Links {
    links: Mutex<HashMap<WorkerId, Link>>,
}

struct Link {
    incarnation: Incarnation,
    serial: u64,
    // Unbounded, but what a worker may hold is bounded by the core.
    orders: mpsc::UnboundedSender<Vec<Order>>,
}

impl Links {
    /// Registers a link. An earlier one of the same worker ends, since its orders end.
    pub fn register(&self, worker: WorkerId, incarnation: Incarnation) -> (u64, Orders) {
        let (orders, inbox) = mpsc::unbounded_channel();
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let serial = links.get(&worker).map_or(0, |link| link.serial) + 1;
        links.insert(worker, Link { incarnation, serial, orders });
        (serial, inbox)
    }

    /// Takes a link off, if no newer one has taken its place; answers whether that was so.
    pub fn remove(&self, worker: WorkerId, incarnation: Incarnation, serial: u64) -> bool {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let ours = links.get(&worker).is_some_and(|link| link.incarnation == incarnation && link.serial == serial);
        if ours {
            links.remove(&worker);
        }
        ours
    }

    /// Gives orders to a worker. They are dropped when its link is down: its next hello settles everything.
    pub fn give(&self, worker: WorkerId, orders: Vec<Order>) {
        let links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(link) = links.get(&worker) {
            // The link's task may have ended already.
            let _ = link.orders.send(orders);
        }
    }

    /// Ends all links.
    pub fn close(&self) {
        self.links.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
