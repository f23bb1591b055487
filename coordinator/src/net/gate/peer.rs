//! The other end of a connection: how it came in, whether it is known who it is, and how long it waits after a wrong token.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use longshore_authority::Presented;
use longshore_local::User;
use tokio::time::{Instant, sleep_until};

use super::guests::Guests;
use crate::{
    api::caller::Origin,
    limits,
    members::standing::{Standing, now_ms},
};

/// How a connection came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// By the socket, from a process of this user; `None` is one whom the kernel cannot name.
    Socket(Option<User>),
    /// By TCP, from this machine.
    Port,
    /// By TLS, with the certificate that was shown, if one was. Its key is at the other end; whose it is, and whether it has
    /// expired, is looked up with each request.
    Tls(Option<Presented>),
}

/// The other end of a connection: put into each of its requests.
#[derive(Debug, Clone)]
pub struct Peer {
    pub(super) via: Via,
    /// Its address, where it has one.
    pub(super) from: Option<IpAddr>,
    /// Our own, where it arrived.
    pub(super) here: Option<IpAddr>,
    /// When it was made, unix milliseconds.
    since_ms: u64,
    /// How many connections each of those who are known by what they show may have.
    each: usize,
    known: Arc<AtomicBool>,
    guests: Arc<Guests>,
    is_joining: Arc<AtomicBool>,
    wrong: Arc<Mutex<Wrong>>,
}

/// What follows from wrong tokens. It is the connection's: whoever else comes from its address notices nothing.
#[derive(Debug, Default)]
struct Wrong {
    /// Before that nothing is answered.
    until: Option<Instant>,
    pause: Duration,
    waiting: usize,
}

impl Peer {
    /// Of a new connection.
    pub fn new(via: Via) -> Self {
        Self {
            via,
            from: None,
            here: None,
            since_ms: now_ms(),
            each: limits::CONNECTIONS_OF_ONE,
            known: Arc::default(),
            guests: Arc::default(),
            is_joining: Arc::default(),
            wrong: Arc::default(),
        }
    }

    /// From this address.
    pub fn from(self, address: IpAddr) -> Self {
        Self { from: Some(address), ..self }
    }

    /// Which arrived at this address.
    pub fn at(self, here: IpAddr) -> Self {
        Self { here: Some(here), ..self }
    }

    /// Which came in where there may be so many: no token and no member takes all of them.
    pub fn among(self, most: usize) -> Self {
        Self { each: limits::CONNECTIONS_OF_ONE.min(most / 4).max(1), ..self }
    }

    /// The same connection, once its handshake is over.
    pub fn showing(self, presented: Option<Presented>) -> Self {
        Self { via: Via::Tls(presented), ..self }
    }

    /// Whether it is known who it is.
    pub fn is_known(&self) -> bool {
        self.known.load(Ordering::Relaxed)
    }

    /// The key of the certificate that was shown: the other end has it.
    pub fn key(&self) -> Option<[u8; 32]> {
        match self.via {
            Via::Tls(shown) => shown.map(|shown| shown.key),
            Via::Socket(_) | Via::Port => None,
        }
    }

    /// Where its requests come from.
    pub fn origin(&self) -> Origin {
        let via = match self.via {
            Via::Socket(_) => "socket",
            Via::Port => "port",
            Via::Tls(_) => "tls",
        };
        Origin { via, from: self.from }
    }

    /// Whether the certificate that was shown had expired when this connection was made. One that expires later has been
    /// renewed meanwhile, or will be: a member is shut out by revoking it, not by waiting.
    pub fn has_expired(&self) -> bool {
        matches!(self.via, Via::Tls(Some(shown)) if shown.expires_ms <= self.since_ms)
    }

    /// From now on it is known who it is.
    pub fn is_known_now(&self) {
        self.known.store(true, Ordering::Relaxed);
    }

    /// Somebody is known on it, as long as they stand; false if so many connections are theirs already.
    pub(super) fn is_of(&self, standing: &Standing) -> bool {
        self.guests.seat(standing, self.each)
    }

    /// Until somebody who was known on it is known no more.
    pub async fn is_over(&self) {
        self.guests.one_ended().await;
    }

    /// For a request to join, or for another certificate, as long as it is under way; `None` while another one is.
    pub fn joins(&self) -> Option<Joining> {
        let is_joining = self.is_joining.swap(true, Ordering::Acquire);
        (!is_joining).then(|| Joining(Arc::clone(&self.is_joining)))
    }

    /// A token was shown that is none, or not with its secret. What is asked next waits for a while, longer each time.
    pub fn was_wrong(&self) {
        let (first, longest) = limits::WRONG_TOKEN_PAUSE;
        let mut wrong = self.wrong();
        wrong.pause = (wrong.pause * 2).clamp(first, longest);
        wrong.until = Some(Instant::now() + wrong.pause);
    }

    /// What has to be waited for before anything else is looked at, if anything.
    pub(super) fn pause(&self) -> Option<Pause> {
        let mut wrong = self.wrong();
        let until = wrong.until.filter(|until| *until > Instant::now())?;
        wrong.waiting += 1;
        let is_one_too_many = wrong.waiting > limits::WRONG_TOKEN_WAITING;
        Some(Pause { peer: self.clone(), until, is_one_too_many })
    }

    fn wrong(&self) -> MutexGuard<'_, Wrong> {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The only request to join of its connection.
#[derive(Debug)]
pub struct Joining(Arc<AtomicBool>);

impl Drop for Joining {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// A request that waits because a wrong token was shown before it.
#[derive(Debug)]
pub(super) struct Pause {
    peer: Peer,
    until: Instant,
    is_one_too_many: bool,
}

impl Pause {
    /// Until it is over; false if so many wait already that this one is not to be looked at.
    pub async fn over(self) -> bool {
        if !self.is_one_too_many {
            sleep_until(self.until).await;
        }
        !self.is_one_too_many
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        self.peer.wrong().waiting -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_double_up_to_the_longest_and_only_their_connection_waits() {
        let (peer, other) = (Peer::new(Via::Port), Peer::new(Via::Port));
        assert!(peer.pause().is_none());
        for seconds in [1, 2, 4, 8, 8] {
            peer.was_wrong();
            let began = Instant::now();
            assert!(peer.clone().pause().unwrap().over().await && other.pause().is_none());
            assert_eq!(began.elapsed().as_secs(), seconds);
            assert!(peer.pause().is_none(), "it is over");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_few_wait() {
        let peer = Peer::new(Via::Port);
        peer.was_wrong();
        let waiting: Vec<_> = (0..limits::WRONG_TOKEN_WAITING).map(|_| peer.pause().unwrap()).collect();
        let began = Instant::now();
        assert!(!peer.pause().unwrap().over().await && began.elapsed().is_zero());
        drop(waiting);
        assert!(peer.pause().unwrap().over().await);
    }
}
