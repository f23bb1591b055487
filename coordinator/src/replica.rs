//! Replicas: their names on the wire, and what they are to the engine that queries go through.

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use longshore_core::{Namespace, ReplicaKey, ReplicaPhase, ReplicaView, Role, ServiceName, WorkerId};
use longshore_proto::v1::ReplicaId;

/// The engine of this coordinator.
pub type Engine = longshore_root::Engine<Target>;

/// A service as the engine sees it.
pub type Topology = longshore_root::Topology<Target>;

/// A replica as the engine sees it.
pub type Candidate = longshore_root::Candidate<Target>;

/// What a query is answered.
pub type Answer = longshore_root::Answer<Target>;

/// How complete that is.
pub type Coverage = longshore_root::Coverage<Target>;

/// Why a query has no answer.
pub type QueryError = longshore_root::QueryError<Target>;

/// A replica, and who keeps it. It is the same replica on whichever worker it is.
#[derive(Debug)]
pub struct Target {
    /// The replica.
    pub key: ReplicaKey,
    /// Its name on the wire, which every call has.
    pub id: ReplicaId,
    /// Who keeps it; `None` if nobody does.
    pub worker: Option<WorkerId>,
    /// The worker's name, for people.
    pub worker_name: String,
}

impl PartialEq for Target {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Target {}

impl Hash for Target {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "replica {}", self.key.number)
    }
}

/// A replica as it is now.
pub fn candidate(replica: &ReplicaView) -> Candidate {
    let (worker, worker_name) = replica.worker.clone().unzip();
    let worker_name = worker_name.unwrap_or_default();
    let unready = match replica.phase {
        _ if worker.is_none() => Some(replica.message.clone()),
        _ if !replica.reachable => Some(format!("on worker {worker_name}, which is not connected")),
        ReplicaPhase::Ready => None,
        ReplicaPhase::Starting if replica.message.is_empty() => Some("is starting".to_owned()),
        ReplicaPhase::Starting => Some(replica.message.clone()),
        ReplicaPhase::Failed => Some(format!("has failed: {}", replica.message)),
    };
    let (key, id) = (replica.key.clone(), replica_id(&replica.key));
    Candidate { target: Arc::new(Target { key, id, worker, worker_name }), unready }
}

/// A replica's name on the wire.
pub fn replica_id(key: &ReplicaKey) -> ReplicaId {
    let (merge, shard) = match key.role {
        Role::Leaf { shard } => (false, shard),
        Role::Merge => (true, 0),
    };
    let ServiceName { namespace, name } = key.service.clone();
    let namespace = namespace_on_wire(&namespace);
    ReplicaId { service: name, generation: key.generation, merge, shard, number: key.number, namespace }
}

/// A replica's name from the wire.
pub fn replica_key(id: ReplicaId) -> ReplicaKey {
    let role = if id.merge { Role::Merge } else { Role::Leaf { shard: id.shard } };
    let namespace = if id.namespace.is_empty() { Namespace::default() } else { Namespace::named(&id.namespace) };
    let service = ServiceName { namespace, name: id.service };
    ReplicaKey { service, generation: id.generation, role, number: id.number }
}

/// Whose something is, as workers are told: nothing for the default namespace.
pub fn namespace_on_wire(namespace: &Namespace) -> String {
    if namespace.is_default() { String::new() } else { namespace.name().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(role: Role, worker: Option<&str>) -> ReplicaView {
        ReplicaView {
            key: ReplicaKey { service: ServiceName::in_default("search"), generation: 7, role, number: 2 },
            worker: worker.map(|name| (WorkerId([1; 16]), name.to_owned())),
            phase: ReplicaPhase::Ready,
            message: "no room".to_owned(),
            reachable: true,
        }
    }

    #[test]
    fn names_come_back_from_the_wire_as_they_went() {
        for role in [Role::Leaf { shard: 3 }, Role::Merge] {
            let key = view(role, None).key;
            assert_eq!(replica_key(replica_id(&key)), key);
            assert_eq!(replica_id(&key).namespace, "");
            let service = ServiceName { namespace: Namespace::named("vision"), ..key.service };
            let key = ReplicaKey { service, ..key };
            assert_eq!(replica_key(replica_id(&key)), key);
        }
    }

    #[test]
    fn a_replica_is_the_same_on_another_worker() {
        let [here, there] = ["here", "there"].map(|name| candidate(&view(Role::Merge, Some(name))).target);
        assert_eq!(here, there);
        assert_ne!(here, candidate(&view(Role::Leaf { shard: 0 }, Some("here"))).target);
    }

    #[test]
    fn only_a_ready_replica_of_a_connected_worker_takes_calls() {
        let unready = |change: fn(&mut ReplicaView)| {
            let mut replica = view(Role::Merge, Some("w"));
            change(&mut replica);
            candidate(&replica).unready
        };
        assert_eq!(unready(|_| {}), None);
        assert_eq!(unready(|replica| replica.worker = None).unwrap(), "no room");
        assert_eq!(unready(|replica| replica.reachable = false).unwrap(), "on worker w, which is not connected");
        let starting = |replica: &mut ReplicaView| {
            replica.phase = ReplicaPhase::Starting;
            replica.message.clear();
        };
        assert_eq!(unready(starting).unwrap(), "is starting");
        let explained = |replica: &mut ReplicaView| {
            replica.phase = ReplicaPhase::Starting;
            replica.message = "is starting: GET /healthz answers 501".to_owned();
        };
        assert_eq!(unready(explained).unwrap(), "is starting: GET /healthz answers 501");
        assert_eq!(unready(|replica| replica.phase = ReplicaPhase::Failed).unwrap(), "has failed: no room");
    }
}
