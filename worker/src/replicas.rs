//! The replicas of services this worker keeps: leaves with their share of the data, and merges.
//!
//! The coordinator says which replicas shall be here; each has a keeper that fetches its data, starts its containers,
//! and starts them again, after a growing pause, whenever they end. Calls go to a replica that is ready, or fail at once.

mod abandoned;
mod call;
mod data;
mod error;
mod files;
mod health;
mod http;
mod keeper;
mod places;
mod spec;
mod state;

use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::BoxFuture;
use longshore_proto::{
    secret,
    v1::{DesiredReplica, NamespaceSecrets, ReplicaId, ReplicaReport, SecretValue},
};
use longshore_root::{Account, Call, CallError, Part, Transport};
use tokio::{sync::watch, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use call::Serving;
use keeper::Means;
use state::State;

use crate::{bounds::Policy, cache::Cache, contract::yard::Yard, runtime::Runtime, secrets::Secrets};

/// All replicas of this worker.
pub(crate) struct Replicas {
    means: Arc<Means>,
    kept: Mutex<BTreeMap<Key, Kept>>,
    /// Also of replicas that are not kept any more but still have containers to end.
    keepers: TaskTracker,
    changes: watch::Sender<u64>,
    closing: CancellationToken,
}

/// Whose, which service and deployment of it, and which of its replicas.
type Key = (String, String, u64, bool, u32, u32);

struct Kept {
    desired: DesiredReplica,
    /// What it was started with: with other versions it is another replica.
    secrets: Secrets,
    state: Arc<State>,
    leave: CancellationToken,
}

fn key(id: &ReplicaId) -> Key {
    (id.namespace.clone(), id.service.clone(), id.generation, id.merge, id.shard, id.number)
}

/// Those of a namespace's secrets that a replica's container names.
fn secrets_of(replica: &DesiredReplica, told: &[SecretValue]) -> Secrets {
    let named = replica.container.as_ref().map(secret::named).unwrap_or_default();
    Secrets::new(told.iter().filter(|secret| named.contains(&secret.name.as_str())).cloned().collect())
}

impl Replicas {
    /// No replicas yet; their directories will be below `dir`.
    pub fn start(runtime: Arc<dyn Runtime>, blobs: Cache, dir: PathBuf, bounds: Policy) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            means: Arc::new(Means { runtime, blobs, yard: Arc::new(Yard::open(&dir)?), bounds }),
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
    pub fn keep(&self, desired: Vec<DesiredReplica>, secrets: Vec<NamespaceSecrets>) {
        if self.closing.is_cancelled() {
            return;
        }
        let told: BTreeMap<String, Vec<SecretValue>> =
            secrets.into_iter().map(|whose| (whose.namespace, whose.secrets)).collect();
        let with_secrets = |replica: DesiredReplica| {
            let id = replica.id.as_ref()?;
            let secrets = secrets_of(&replica, told.get(&id.namespace).map_or(&[], Vec::as_slice));
            Some((key(id), (replica, secrets)))
        };
        let desired: BTreeMap<Key, (DesiredReplica, Secrets)> = desired.into_iter().filter_map(with_secrets).collect();
        let mut kept = self.lock();
        kept.retain(|key, replica| {
            let stays = desired.get(key).is_some_and(|(desired, secrets)| {
                *desired == replica.desired && secrets.versions() == replica.secrets.versions()
            });
            if !stays {
                replica.leave.cancel();
            }
            stays
        });
        for (key, (desired, secrets)) in desired {
            kept.entry(key).or_insert_with(|| self.hire(desired, secrets));
        }
    }

    fn hire(&self, desired: DesiredReplica, secrets: Secrets) -> Kept {
        let state = Arc::new(State::new(self.changes.clone()));
        let leave = self.closing.child_token();
        let keeper = keeper::keep(
            Arc::clone(&self.means),
            (desired.clone(), secrets.clone()),
            Arc::clone(&state),
            leave.clone(),
        );
        self.keepers.spawn(keeper);
        Kept { desired, secrets, state, leave }
    }

    /// Where every replica stands.
    pub fn reports(&self) -> Vec<ReplicaReport> {
        let report = |replica: &Kept| {
            let told = replica.state.now();
            ReplicaReport { id: replica.desired.id.clone(), phase: told.phase.into(), message: told.message.clone() }
        };
        self.lock().values().map(report).collect()
    }

    /// Something that changes whenever a report does.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// What answers for a replica, if it is ready.
    fn ready(&self, id: &ReplicaId) -> Result<Arc<dyn Serving>, CallError> {
        let kept = self.lock();
        let replica = kept.get(&key(id)).ok_or_else(|| CallError::Away("it is not on this worker".to_owned()))?;
        let told = replica.state.now();
        told.serving.clone().ok_or_else(|| CallError::Away(format!("not ready: {}", told.message)))
    }

    /// Ends all replicas and waits until their containers are gone.
    pub async fn shutdown(&self) {
        self.closing.cancel();
        self.lock().clear();
        self.keepers.close();
        self.keepers.wait().await;
        let means = Arc::clone(&self.means);
        // Whatever becomes of it, nothing is left to be done.
        let _ = tokio::task::spawn_blocking(move || means.yard.close()).await;
    }
}

/// Queries reach replicas so from within this process, and through the stream of those from elsewhere.
impl Transport<ReplicaId> for Replicas {
    fn call(
        &self,
        id: &ReplicaId,
        call: Call,
        within: Duration,
        account: &Account,
    ) -> BoxFuture<'static, Result<Part, CallError>> {
        let (ready, account) = (self.ready(id), account.lent());
        Box::pin(async move {
            let serving = ready?;
            let late = |_| Err(CallError::Late(format!("no answer within {within:.1?}")));
            timeout(within, serving.call(call, within, &account)).await.unwrap_or_else(late)
        })
    }
}
