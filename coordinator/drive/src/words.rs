//! What workers say.

use std::sync::Arc;

use longshore_core::{Clientele, Digest, Finished, Held, Incarnation, JobId, Offer, ReplicaStatus, WorkerId};

use crate::LinkId;

/// The other end of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The link.
    pub link: LinkId,
    /// The worker.
    pub worker: WorkerId,
    /// Its life.
    pub incarnation: Incarnation,
}

/// What a worker says first on a link.
#[derive(Debug, Clone)]
pub struct Hello {
    /// The life that ran before in the same place, if any, and has certainly ended.
    pub previous: Option<Incarnation>,
    /// For people.
    pub name: String,
    /// Attempts it runs at once; at least 1.
    pub slots: u32,
    /// It has come in as a member of the cluster.
    pub is_member: bool,
    /// Whose work it may be given: what is known of it, not what it says.
    pub clientele: Clientele,
    /// What it offers: its labels, for a member, are what is known of it.
    pub offer: Arc<Offer>,
    /// Attempts it holds.
    pub held: Vec<Held>,
    /// Replicas it keeps.
    pub replicas: Vec<ReplicaStatus>,
}

/// What it says after that.
#[derive(Debug, Clone)]
pub enum Word {
    /// That it lives.
    Heartbeat(Beat),
    /// That it was asked with this number whether it lives.
    Pong(u64),
    /// That attempts have ended. What they left is stored already.
    Finished(Vec<Finished>),
    /// How all its replicas are.
    Replicas(Vec<ReplicaStatus>),
    /// That it has found out which image these stages of a job, which name the same, are of; first the one it asks about.
    Image(JobId, Vec<u16>, Digest),
    /// That it leaves for good.
    Goodbye,
}

/// A heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beat {
    /// Counted from 1 on each link. 0: of a worker that does not count, whose lease runs from whenever it is heard.
    pub number: u64,
    /// The newest that it knows was answered; 0 when it knows of none.
    pub answered: u64,
}
