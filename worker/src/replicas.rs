//! The replicas of services this worker keeps: leaves with their share of the data, and merges.
//!
//! The coordinator says which replicas shall be here; each has a keeper that fetches its data, starts its containers,
//! and starts them again, after a growing pause, whenever they end. Calls go to a replica that is ready, or fail at once.

mod data;
mod files;
mod http;
mod keeper;

use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use longshore_proto::v1::{DesiredReplica, ReplicaId, ReplicaPhase, ReplicaReport};
use tokio::{sync::watch, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{cache::Cache, contract::yard::Yard, runtime::Runtime};

/// What is asked of a replica.
#[derive(Debug, Clone)]
pub enum Ask {
    /// A query, for a leaf.
    Leaf(Bytes),
    /// Parts with their shards, for a merge.
    Merge(Vec<(u32, Bytes)>),
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unanswered {
    /// The input is bad.
    Refused(String),
    /// It has too much to do.
    Busy(String),
    /// It failed.
    Failed(String),
}

/// Containers that are ready to answer. Dropping the future of a call abandons it.
pub(crate) trait Serving: Send + Sync {
    /// Answers one call, within the time given.
    fn call(&self, ask: Ask, within: Duration) -> BoxFuture<'_, Result<Bytes, Unanswered>>;
}

/// All replicas of this worker.
pub(crate) struct Replicas {
    pub(self) runtime: Arc<dyn Runtime>,
    pub(self) blobs: Cache,
    pub(self) yard: Arc<Yard>,
    kept: Mutex<BTreeMap<Key, Kept>>,
    /// Also of replicas that are not kept any more but still have containers to end.
    keepers: TaskTracker,
    changes: watch::Sender<u64>,
    closing: CancellationToken,
}

type Key = (String, u64, bool, u32, u32);

struct Kept {
    desired: DesiredReplica,
    state: Arc<State>,
    leave: CancellationToken,
}

/// What a keeper tells of its replica.
pub(crate) struct State {
    told: Mutex<Told>,
    changes: watch::Sender<u64>,
}

struct Told {
    phase: ReplicaPhase,
    message: String,
    serving: Option<Arc<dyn Serving>>,
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells everybody where the replica stands.
    fn tell(&self, phase: ReplicaPhase, message: impl Into<String>, serving: Option<Arc<dyn Serving>>) {
        *self.lock() = Told { phase, message: message.into(), serving };
        self.changes.send_modify(|count| *count += 1);
    }
}

fn key(id: &ReplicaId) -> Key {
    (id.service.clone(), id.generation, id.merge, id.shard, id.number)
}

impl Replicas {
    /// No replicas yet; their directories will be below `dir`.
    pub fn start(runtime: Arc<dyn Runtime>, blobs: Cache, dir: PathBuf) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            runtime,
            blobs,
            yard: Arc::new(Yard::open(&dir)?),
            kept: Mutex::default(),
            keepers: TaskTracker::new(),
            changes: watch::Sender::new(0),
            closing: CancellationToken::new(),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps exactly these from now on.
    pub fn keep(self: &Arc<Self>, desired: Vec<DesiredReplica>) {
        if self.closing.is_cancelled() {
            return;
        }
        let desired: BTreeMap<Key, DesiredReplica> =
            desired.into_iter().filter_map(|replica| Some((key(replica.id.as_ref()?), replica))).collect();
        let mut kept = self.lock();
        kept.retain(|key, replica| {
            let stays = desired.get(key) == Some(&replica.desired);
            if !stays {
                replica.leave.cancel();
            }
            stays
        });
        for (key, desired) in desired {
            kept.entry(key).or_insert_with(|| self.hire(desired));
        }
    }

    fn hire(self: &Arc<Self>, desired: DesiredReplica) -> Kept {
        let told = Told { phase: ReplicaPhase::Starting, message: String::new(), serving: None };
        let state = Arc::new(State { told: Mutex::new(told), changes: self.changes.clone() });
        let leave = self.closing.child_token();
        let keeper = keeper::keep(Arc::clone(self), desired.clone(), Arc::clone(&state), leave.clone());
        self.keepers.spawn(keeper);
        Kept { desired, state, leave }
    }

    /// Where every replica stands.
    pub fn reports(&self) -> Vec<ReplicaReport> {
        let report = |replica: &Kept| {
            let told = replica.state.lock();
            ReplicaReport { id: replica.desired.id.clone(), phase: told.phase.into(), message: told.message.clone() }
        };
        self.lock().values().map(report).collect()
    }

    /// Something that changes whenever a report does.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Calls a replica.
    pub async fn call(&self, id: &ReplicaId, ask: Ask, within: Duration) -> Result<Bytes, Unanswered> {
        let serving = {
            let kept = self.lock();
            let replica =
                kept.get(&key(id)).ok_or_else(|| Unanswered::Failed("it is not on this worker".to_owned()))?;
            let told = replica.state.lock();
            told.serving.clone().ok_or_else(|| Unanswered::Failed(format!("not ready: {}", told.message)))?
        };
        timeout(within, serving.call(ask, within))
            .await
            .unwrap_or_else(|_| Err(Unanswered::Failed(format!("no answer within {within:.1?}"))))
    }

    /// Ends all replicas and waits until their containers are gone.
    pub async fn shutdown(&self) {
        self.closing.cancel();
        self.lock().clear();
        self.keepers.close();
        self.keepers.wait().await;
    }
}
