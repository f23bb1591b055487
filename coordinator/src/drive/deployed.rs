//! The services that are deployed, as queries need them.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use longshore_core::{ReplicaPhase, ReplicaView, Role, ServiceView};
use longshore_proto::v1::ServiceSpec;
use longshore_root::{Candidate, Target, Topology};

use crate::kept::catalog::Catalog;

/// Every deployed service, refreshed by the driver whenever one changes.
pub struct Services {
    catalog: Arc<Catalog>,
    entries: RwLock<HashMap<String, Arc<Entry>>>,
}

/// One deployed service at one moment.
pub struct Entry {
    /// Its specification.
    pub spec: Arc<ServiceSpec>,
    /// As the core sees it.
    pub view: ServiceView,
    /// As the engine sees it.
    pub topology: Topology,
}

impl Services {
    pub fn new(catalog: Arc<Catalog>) -> Self {
        Self { catalog, entries: RwLock::new(HashMap::new()) }
    }

    /// The service of that name, as it is now.
    pub fn get(&self, name: &str) -> Option<Arc<Entry>> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// All services, by name.
    pub fn all(&self) -> Vec<Arc<Entry>> {
        let mut all: Vec<_> = self.entries.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        all.sort_unstable_by(|a, b| a.spec.name.cmp(&b.spec.name));
        all
    }

    /// Takes in a service as it is now; `None` when it is removed.
    pub fn refresh(&self, name: &str, view: Option<ServiceView>) {
        let known = self.get(name).filter(|entry| Some(entry.view.detail) == view.as_ref().map(|view| view.detail));
        let entry = view.and_then(|view| {
            let spec = match known {
                Some(known) => Arc::clone(&known.spec),
                None => match self.catalog.service_spec(&view.detail) {
                    Ok(spec) => Arc::new(spec),
                    Err(error) => {
                        tracing::error!(service = name, %error, "the service cannot be served");
                        return None;
                    }
                },
            };
            let topology = topology(&view, spec.merge.is_some());
            Some(Arc::new(Entry { spec, view, topology }))
        });
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        match entry {
            Some(entry) => entries.insert(name.to_owned(), entry),
            None => entries.remove(name),
        };
    }
}

fn topology(view: &ServiceView, merges: bool) -> Topology {
    let mut topology = Topology { shards: Vec::new(), merges: merges.then(Vec::new) };
    for replica in &view.replicas {
        let candidate = candidate(replica);
        match replica.key.role {
            Role::Leaf { shard } => {
                let shard = shard as usize;
                if topology.shards.len() <= shard {
                    topology.shards.resize(shard + 1, Vec::new());
                }
                topology.shards[shard].push(candidate);
            }
            Role::Merge => topology.merges.get_or_insert_default().push(candidate),
        }
    }
    topology
}

fn candidate(replica: &ReplicaView) -> Candidate {
    let (worker, worker_name) = replica.worker.clone().unwrap_or((longshore_core::WorkerId([0; 16]), String::new()));
    let unready = match replica.phase {
        _ if replica.worker.is_none() => Some(replica.message.clone()),
        _ if !replica.reachable => Some(format!("on worker {worker_name}, which is not connected")),
        ReplicaPhase::Ready => None,
        ReplicaPhase::Starting => Some("is starting".to_owned()),
        ReplicaPhase::Failed => Some(format!("has failed: {}", replica.message)),
    };
    Candidate { target: Arc::new(Target { key: replica.key.clone(), worker, worker_name }), unready }
}
