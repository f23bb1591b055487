//! What the core needs to know of a service, and the names of its replicas.

use std::fmt;

use super::name::ServiceName;

/// A service as the core sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePlan {
    /// Shards; at least 1.
    pub shards: u32,
    /// Replicas of each shard; at least 1.
    pub replicas: u32,
    /// Replicas of the merge container; 0 when parts are just joined.
    pub merges: u32,
}

/// What a replica is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Answers for a shard.
    Leaf {
        /// The shard.
        shard: u32,
    },
    /// Joins parts.
    Merge,
}

/// One replica of one deployment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaKey {
    /// The service.
    pub service: ServiceName,
    /// Its deployment.
    pub generation: u64,
    /// What it is for.
    pub role: Role,
    /// Which of the replicas with that role, from 0.
    pub number: u32,
}

impl ReplicaKey {
    /// A key that is not behind any other of that service.
    pub(crate) fn first_of(service: &ServiceName) -> Self {
        Self { service: service.clone(), generation: 0, role: Role::Leaf { shard: 0 }, number: 0 }
    }
}

impl fmt::Display for ReplicaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.role {
            Role::Leaf { shard } => {
                write!(f, "{} shard {shard} replica {}", self.service, self.number)
            }
            Role::Merge => write!(f, "{} merge replica {}", self.service, self.number),
        }
    }
}

impl ServicePlan {
    /// Every replica a deployment of this plan has.
    pub fn replicas_of(&self, service: &ServiceName, generation: u64) -> impl Iterator<Item = ReplicaKey> {
        let leaves = (0..self.shards).flat_map(|shard| (0..self.replicas).map(move |n| (Role::Leaf { shard }, n)));
        let merges = (0..self.merges).map(|n| (Role::Merge, n));
        leaves.chain(merges).map(move |(role, number)| ReplicaKey {
            service: service.clone(),
            generation,
            role,
            number,
        })
    }
}
