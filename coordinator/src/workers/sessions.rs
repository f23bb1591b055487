//! The sessions of workers that are up, and the way orders take to them.
//!
//! Which link speaks for a worker, the drive decides; the driver, and nobody else, brings sessions in and takes them off, as
//! the drive says.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use longshore_core::{Order, WorkerId};
use longshore_drive::{LinkId, Peer};
use rand::Rng as _;
use tokio::sync::mpsc;

/// What comes to a session from the driver, in order.
#[derive(Debug)]
pub enum Given {
    /// Orders for its worker. The first of all is the welcome.
    Orders(Vec<Order>),
    /// Nothing more: the session has to end.
    End(Ending),
}

/// Why a session has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Ending {
    /// The worker has said hello on another link.
    #[error("another link of this worker has taken over")]
    Replaced,
    /// The core does not know this life of the worker any more.
    #[error("the lease has run out; say hello again")]
    Unknown,
}

/// Everything for one session, in the order it was given.
pub type Orders = mpsc::UnboundedReceiver<Given>;

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

/// The coordinator's end of a link.
#[derive(Debug)]
pub struct Session {
    about: About,
    proof: Proof,
    // Unbounded, but what a worker may hold is bounded by the core.
    orders: mpsc::UnboundedSender<Given>,
}

impl Session {
    /// A session for a worker's new link; with the proof that the link is its own, and what it will be given.
    pub fn new(worker: WorkerId, about: About) -> (Self, Proof, Orders) {
        let (orders, inbox) = mpsc::unbounded_channel();
        let mut proof = [0; PROOF_BYTES];
        proof[..16].copy_from_slice(&worker.0);
        rand::rng().fill_bytes(&mut proof[16..]);
        (Self { about, proof, orders }, proof, inbox)
    }

    fn end(&self, why: Ending) {
        // It may have ended by itself.
        let _ = self.orders.send(Given::End(why));
    }
}

/// All sessions that are up.
#[derive(Debug, Default)]
pub struct Sessions {
    by_worker: Mutex<HashMap<WorkerId, (LinkId, Session)>>,
    links: AtomicU64,
}

impl Sessions {
    /// A number for a new link.
    pub fn next_link(&self) -> LinkId {
        LinkId(self.links.fetch_add(1, Ordering::Relaxed))
    }

    /// This session speaks for its worker from now on; an earlier one ends.
    pub fn begin(&self, peer: Peer, session: Session) {
        if let Some((_, older)) = self.lock().insert(peer.worker, (peer.link, session)) {
            older.end(Ending::Replaced);
        }
    }

    /// Takes the session of this link off, if it still speaks for its worker, and ends it.
    pub fn end(&self, peer: Peer, why: Ending) {
        let mut sessions = self.lock();
        if sessions.get(&peer.worker).is_some_and(|(link, _)| *link == peer.link)
            && let Some((_, session)) = sessions.remove(&peer.worker)
        {
            session.end(why);
        }
    }

    /// Takes the session of this link off, which has ended by itself.
    pub fn forget(&self, peer: Peer) {
        let mut sessions = self.lock();
        if sessions.get(&peer.worker).is_some_and(|(link, _)| *link == peer.link) {
            sessions.remove(&peer.worker);
        }
    }

    /// Gives orders to the session of this link. They are dropped when it has ended: the worker's next hello settles everything.
    pub fn give(&self, link: LinkId, orders: Vec<Order>) {
        let Some(worker) = orders.first().map(Order::worker) else { return };
        let sessions = self.lock();
        if let Some((_, session)) = sessions.get(&worker).filter(|(own, _)| *own == link) {
            // The session's task may have ended already.
            let _ = session.orders.send(Given::Orders(orders));
        }
    }

    /// Whether this is the proof of a link that is up.
    pub fn proves(&self, shown: &[u8]) -> bool {
        let Some(Ok(worker)) = shown.get(..16).map(TryInto::try_into) else { return false };
        // The comparison of blake3's hashes takes constant time.
        self.lock()
            .get(&WorkerId(worker))
            .is_some_and(|(_, session)| blake3::hash(&session.proof) == blake3::hash(shown))
    }

    /// Whether the worker has a link that is up.
    pub fn is_linked(&self, worker: WorkerId) -> bool {
        self.lock().contains_key(&worker)
    }

    /// What a worker whose link is up says of itself.
    pub fn about(&self, worker: WorkerId) -> About {
        self.lock().get(&worker).map(|(_, session)| session.about.clone()).unwrap_or_default()
    }

    /// Ends all sessions: the coordinator is stopping.
    pub fn close(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<WorkerId, (LinkId, Session)>> {
        self.by_worker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use longshore_core::{Incarnation, JobId};

    use super::*;

    const ONE: WorkerId = WorkerId([1; 16]);
    const OTHER: WorkerId = WorkerId([2; 16]);

    fn peer(worker: WorkerId, link: u64) -> Peer {
        Peer { link: LinkId(link), worker, incarnation: Incarnation([0; 16]) }
    }

    fn order(worker: WorkerId) -> Vec<Order> {
        vec![Order::ForgetJob { worker, job: JobId([3; 16]) }]
    }

    #[test]
    fn a_proof_is_good_as_long_as_its_link_is_up_and_nobody_elses() {
        let sessions = Sessions::default();
        let (first, proof, _orders) = Session::new(ONE, About::default());
        let (second, others, _others_orders) = Session::new(OTHER, About::default());
        assert!(!sessions.proves(&proof), "nobody has heard of it yet");
        sessions.begin(peer(ONE, 1), first);
        sessions.begin(peer(OTHER, 2), second);
        assert!(sessions.proves(&proof) && sessions.proves(&others));
        let mixed = [&proof[..16], &others[16..]].concat();
        for wrong in [&mixed[..], &proof[..31], &proof[..16], &[], &[0; 32]] {
            assert!(!sessions.proves(wrong), "{wrong:?}");
        }
        let (third, newer, _newer_orders) = Session::new(ONE, About::default());
        sessions.begin(peer(ONE, 3), third);
        assert!(!sessions.proves(&proof) && sessions.proves(&newer), "another link has taken its place");
        sessions.end(peer(ONE, 1), Ending::Unknown);
        assert!(sessions.proves(&newer), "the end of the older one is none of the newer's");
        sessions.end(peer(ONE, 3), Ending::Unknown);
        assert!(!sessions.proves(&newer));
    }

    #[test]
    fn orders_go_to_their_link_or_nowhere_and_whoever_has_to_end_is_told_why() {
        let sessions = Sessions::default();
        let (first, _, mut older) = Session::new(ONE, About::default());
        let (second, _, mut newer) = Session::new(ONE, About::default());
        sessions.begin(peer(ONE, 1), first);
        sessions.give(LinkId(1), order(ONE));
        sessions.begin(peer(ONE, 2), second);
        sessions.give(LinkId(1), order(ONE));
        assert!(matches!(older.try_recv(), Ok(Given::Orders(orders)) if orders == order(ONE)));
        assert!(matches!(older.try_recv(), Ok(Given::End(Ending::Replaced))));
        assert!(older.try_recv().is_err() && newer.try_recv().is_err());
        sessions.end(peer(ONE, 2), Ending::Unknown);
        assert!(matches!(newer.try_recv(), Ok(Given::End(Ending::Unknown))));
    }
}
