//! The sessions of workers that are up, and the way orders take to them.
//!
//! Which link speaks for a worker, the drive decides; the driver, and nobody else, brings sessions in and takes them off, as
//! the drive says. Only who is no member any more is taken off by whoever decides that.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use longshore_core::{Order, WorkerId};
use longshore_drive::{LinkId, Peer};
use longshore_proto::v1::{Offer, WorkerCondition};
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

/// What is said on a link before all orders that have not left yet: whoever waits for it does not wait long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgent {
    /// The answer to the heartbeat of this number.
    Answer(u64),
    /// Whether the worker lives; to be answered with this number.
    Ping(u64),
}

/// Why a session has to end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ending {
    /// The worker has said hello on another link.
    #[error("another link of this worker has taken over")]
    Replaced,
    /// The core does not know this life of the worker any more.
    #[error("the lease has run out; say hello again")]
    Unknown,
    /// Another life of the worker lives.
    #[error("worker {worker} is another process already, which calls itself {name:?} and has just answered")]
    Taken {
        /// The worker.
        worker: WorkerId,
        /// What the other one says it is called.
        name: String,
    },
    /// It is no member any more.
    #[error("this worker is no member of the cluster any more")]
    Revoked,
}

/// Everything for one session, in the order it was given.
pub type Orders = mpsc::UnboundedReceiver<Given>;

/// What is urgent for it. What finds no room here is lost: then its other end reads nothing, and that is what is to be found out.
pub type Urgencies = mpsc::Receiver<Urgent>;

/// Urgent messages that wait for a link to take them.
const URGENT: usize = 8;

/// What a worker says of itself, for people.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// Its name.
    pub name: String,
    /// "docker" or "process".
    pub runtime: String,
    /// Its program's version.
    pub version: String,
    /// How it is, if it said so.
    pub condition: Option<WorkerCondition>,
    pub offer: Option<Box<Offer>>,
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
    urgent: mpsc::Sender<Urgent>,
}

impl Session {
    /// A session for a worker's new link; with the proof that the link is its own, and what it will be given.
    pub fn new(worker: WorkerId, about: About) -> (Self, Proof, Orders, Urgencies) {
        let (orders, inbox) = mpsc::unbounded_channel();
        let (urgent, urgencies) = mpsc::channel(URGENT);
        let mut proof = [0; PROOF_BYTES];
        proof[..16].copy_from_slice(&worker.0);
        rand::rng().fill_bytes(&mut proof[16..]);
        (Self { about, proof, orders, urgent }, proof, inbox, urgencies)
    }

    fn end(&self, why: Ending) {
        // It may have ended by itself.
        let _ = self.orders.send(Given::End(why));
    }
}

/// All sessions that are up.
#[derive(Debug, Default)]
pub struct Sessions {
    up: Mutex<Up>,
    links: AtomicU64,
}

#[derive(Debug, Default)]
struct Up {
    /// Those that speak for their workers.
    by_worker: HashMap<WorkerId, (LinkId, Session)>,
    /// Those of which that is not decided.
    waiting: HashMap<LinkId, (WorkerId, Session)>,
}

impl Sessions {
    /// A number for a new link.
    pub fn next_link(&self) -> LinkId {
        LinkId(self.links.fetch_add(1, Ordering::Relaxed))
    }

    /// A session whose worker has said hello.
    pub fn begin(&self, peer: Peer, session: Session) {
        self.lock().waiting.insert(peer.link, (peer.worker, session));
    }

    /// The session of this link speaks for its worker from now on; an earlier one ends.
    pub fn admit(&self, peer: Peer) {
        let mut up = self.lock();
        let Some((_, session)) = up.waiting.remove(&peer.link) else { return };
        if let Some((_, older)) = up.by_worker.insert(peer.worker, (peer.link, session)) {
            older.end(Ending::Replaced);
        }
    }

    /// Ends the session of this link, which was not admitted: its worker is there already.
    pub fn refuse(&self, peer: Peer) {
        let name = self.about(peer.worker).name;
        self.end(peer, Ending::Taken { worker: peer.worker, name });
    }

    /// Takes the session of this link off, if it is not off yet, and ends it.
    pub fn end(&self, peer: Peer, why: Ending) {
        if let Some(session) = self.take(peer) {
            session.end(why);
        }
    }

    /// Takes the session of this link off, which has ended by itself.
    pub fn forget(&self, peer: Peer) {
        drop(self.take(peer));
    }

    fn take(&self, peer: Peer) -> Option<Session> {
        let mut up = self.lock();
        if let Some((_, session)) = up.waiting.remove(&peer.link) {
            return Some(session);
        }
        let speaks = up.by_worker.get(&peer.worker).is_some_and(|(link, _)| *link == peer.link);
        if speaks { up.by_worker.remove(&peer.worker).map(|(_, session)| session) } else { None }
    }

    /// The worker is no member any more: its links end now, with these words. Whoever says so has made sure before that it
    /// is let in no more.
    pub fn end_of_member(&self, worker: WorkerId) {
        let mut up = self.lock();
        let speaks = up.by_worker.remove(&worker).map(|(_, session)| session);
        let waiting = up.waiting.extract_if(|_, (of, _)| *of == worker).map(|(_, (_, session))| session);
        speaks.into_iter().chain(waiting).for_each(|session| session.end(Ending::Revoked));
    }

    /// Says something on a link before all orders that have not left yet.
    pub fn urge(&self, peer: Peer, urgent: Urgent) {
        if let Some((_, session)) = self.lock().by_worker.get(&peer.worker).filter(|(own, _)| *own == peer.link) {
            let _ = session.urgent.try_send(urgent);
        }
    }

    /// Gives orders to the session of this link. They are dropped when it has ended: the worker's next hello settles everything.
    pub fn give(&self, link: LinkId, orders: Vec<Order>) {
        let Some(worker) = orders.first().map(Order::worker) else { return };
        let sessions = self.lock();
        if let Some((_, session)) = sessions.by_worker.get(&worker).filter(|(own, _)| *own == link) {
            // The session's task may have ended already.
            let _ = session.orders.send(Given::Orders(orders));
        }
    }

    /// Whether this is the proof of a link that is up.
    pub fn proves(&self, shown: &[u8]) -> bool {
        let Some(Ok(worker)) = shown.get(..16).map(TryInto::try_into) else { return false };
        // The comparison of blake3's hashes takes constant time.
        self.lock()
            .by_worker
            .get(&WorkerId(worker))
            .is_some_and(|(_, session)| blake3::hash(&session.proof) == blake3::hash(shown))
    }

    /// Whether the worker has a link that is up.
    pub fn is_linked(&self, worker: WorkerId) -> bool {
        self.lock().by_worker.contains_key(&worker)
    }

    /// What a worker whose link is up says of itself.
    pub fn about(&self, worker: WorkerId) -> About {
        self.lock().by_worker.get(&worker).map(|(_, session)| session.about.clone()).unwrap_or_default()
    }

    /// Ends all sessions: the coordinator is stopping.
    pub fn close(&self) {
        *self.lock() = Up::default();
    }

    fn lock(&self) -> MutexGuard<'_, Up> {
        self.up.lock().unwrap_or_else(PoisonError::into_inner)
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

    fn session(worker: WorkerId) -> (Session, Proof, Orders, Urgencies) {
        Session::new(worker, About { name: "first".to_owned(), ..About::default() })
    }

    /// A session that speaks for its worker.
    fn admitted(sessions: &Sessions, peer: Peer) -> (Proof, Orders, Urgencies) {
        let (session, proof, orders, urgencies) = session(peer.worker);
        sessions.begin(peer, session);
        assert!(!sessions.proves(&proof), "it was not admitted");
        sessions.admit(peer);
        (proof, orders, urgencies)
    }

    #[test]
    fn a_proof_is_good_as_long_as_its_link_is_up_and_nobody_elses() {
        let sessions = Sessions::default();
        let (proof, _orders, _urgencies) = admitted(&sessions, peer(ONE, 1));
        let (others, _others_orders, _others_urgencies) = admitted(&sessions, peer(OTHER, 2));
        assert!(sessions.proves(&proof) && sessions.proves(&others));
        let mixed = [&proof[..16], &others[16..]].concat();
        for wrong in [&mixed[..], &proof[..31], &proof[..16], &[], &[0; 32]] {
            assert!(!sessions.proves(wrong), "{wrong:?}");
        }
        let (newer, _newer_orders, _newer_urgencies) = admitted(&sessions, peer(ONE, 3));
        assert!(!sessions.proves(&proof) && sessions.proves(&newer), "another link has taken its place");
        sessions.end(peer(ONE, 1), Ending::Unknown);
        assert!(sessions.proves(&newer), "the end of the older one is none of the newer's");
        sessions.end(peer(ONE, 3), Ending::Unknown);
        assert!(!sessions.proves(&newer));
    }

    #[test]
    fn orders_go_to_their_link_or_nowhere_and_whoever_has_to_end_is_told_why() {
        let sessions = Sessions::default();
        let (_, mut older, _urgencies) = admitted(&sessions, peer(ONE, 1));
        sessions.give(LinkId(1), order(ONE));
        let (_, mut newer, _newer_urgencies) = admitted(&sessions, peer(ONE, 2));
        sessions.give(LinkId(1), order(ONE));
        assert!(matches!(older.try_recv(), Ok(Given::Orders(orders)) if orders == order(ONE)));
        assert!(matches!(older.try_recv(), Ok(Given::End(Ending::Replaced))));
        assert!(older.try_recv().is_err() && newer.try_recv().is_err());
        sessions.end(peer(ONE, 2), Ending::Unknown);
        assert!(matches!(newer.try_recv(), Ok(Given::End(Ending::Unknown))));
    }

    #[test]
    fn whoever_is_not_admitted_is_told_who_is_there_and_that_one_goes_on() {
        let sessions = Sessions::default();
        let (proof, mut first, mut urgencies) = admitted(&sessions, peer(ONE, 1));
        let (second, _, mut orders, _second_urgencies) = session(ONE);
        sessions.begin(peer(ONE, 2), second);
        sessions.give(LinkId(2), order(ONE));
        sessions.urge(peer(ONE, 1), Urgent::Ping(7));
        sessions.urge(peer(ONE, 2), Urgent::Ping(8));
        sessions.refuse(peer(ONE, 2));
        let Ok(Given::End(why)) = orders.try_recv() else { panic!("it is given orders") };
        assert!(why.to_string().contains("01010101-0101-0101-0101-010101010101 is another process"), "{why}");
        assert!(why.to_string().contains("\"first\""), "{why}");
        assert!(sessions.proves(&proof) && first.try_recv().is_err());
        assert_eq!((urgencies.try_recv(), urgencies.try_recv().is_err()), (Ok(Urgent::Ping(7)), true));
        sessions.admit(peer(ONE, 2));
        assert!(sessions.proves(&proof), "it is off");
    }

    #[test]
    fn all_links_of_who_is_no_member_any_more_end_and_no_others() {
        let sessions = Sessions::default();
        let (proof, mut first, _urgencies) = admitted(&sessions, peer(ONE, 1));
        let (others, mut other, _others_urgencies) = admitted(&sessions, peer(OTHER, 2));
        let (second, _, mut waiting, _waiting_urgencies) = session(ONE);
        sessions.begin(peer(ONE, 3), second);
        sessions.end_of_member(ONE);
        for orders in [&mut first, &mut waiting] {
            assert!(matches!(orders.try_recv(), Ok(Given::End(Ending::Revoked))));
        }
        assert!(!sessions.proves(&proof) && sessions.proves(&others) && other.try_recv().is_err());
    }
}
