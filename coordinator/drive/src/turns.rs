//! What becomes of links.

use crate::Peer;

/// What a driver does with a link at once: nothing of it waits for records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// This link speaks for its worker from now on; an earlier one of the worker has to end.
    Admit(Peer),
    /// Another life of its worker is there, and has answered: this link has to end.
    Refuse(Peer),
    /// Its worker is no member of the cluster any more: this link has to end.
    Bar(Peer),
    /// A newer link waits in the place of this one, which has to end.
    Replace(Peer),
    /// The worker is to be asked on this link whether it lives: it says [`Word::Pong`](crate::Word::Pong) with this number.
    Ping(Peer, u64),
    /// The worker's heartbeat of this number is to be answered on this link.
    Answer(Peer, u64),
}
