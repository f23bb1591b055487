//! What people are shown.

use std::collections::BTreeMap;

use crate::{
    ids::{JobId, Namespace, WorkerId},
    input::ReplicaPhase,
    jobs::Job,
    record::JobRecord,
    services::{ReplicaKey, ServiceName},
    state::State,
    workers::Worker,
};

/// A job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobView {
    /// As kept.
    pub record: JobRecord,
    /// Its stages.
    pub stages: Vec<StageView>,
    /// Why nothing of it runs, when that is so.
    pub idle_because: Option<&'static str>,
}

/// The counts of a stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StageView {
    /// Items by now.
    pub items: u64,
    /// No further items come.
    pub is_final: bool,
    /// Waiting for a slot.
    pub queued: u64,
    /// Given to workers.
    pub running: u64,
    /// Committed.
    pub succeeded: u64,
    /// Given up.
    pub failed: u64,
    /// Waiting for their next try.
    pub backing_off: u64,
    /// Attempts that failed, as far as this run of the coordinator has seen; at least one for each item given up.
    pub failed_attempts: u64,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceView {
    /// Its deployment.
    pub generation: u64,
    /// The blob with its full specification.
    pub detail: [u8; 32],
    /// Every replica, in order: leaves by shard, then merges.
    pub replicas: Vec<ReplicaView>,
}

/// A replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaView {
    /// Its name.
    pub key: ReplicaKey,
    /// Where it is; `None` while no worker takes it.
    pub worker: Option<(WorkerId, String)>,
    /// Where it stands.
    pub phase: ReplicaPhase,
    /// Its worker can be reached.
    pub reachable: bool,
    /// Why it is not ready.
    pub message: String,
}

/// A worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerView {
    /// Its id.
    pub id: WorkerId,
    /// For people.
    pub name: String,
    /// Its link is up.
    pub connected: bool,
    /// Attempts it runs at once.
    pub slots: u32,
    /// Attempts it holds.
    pub attempts: u64,
    /// Replicas placed on it.
    pub replicas: u64,
}

/// A job as it stands.
pub(crate) fn job(state: &State, id: JobId) -> Option<JobView> {
    let job = state.ledger.job(id)?;
    let stages: Vec<StageView> = (0..job.stage_count()).filter_map(|at| stage(state, job, at)).collect();
    let idle = job.record.state.may_dispatch() && stages.iter().all(|stage| stage.running == 0);
    let idle_because = idle.then(|| why_idle(state, &job.record.namespace, &stages));
    Some(JobView { record: job.record.clone(), stages, idle_because })
}

fn stage(state: &State, job: &Job, at: usize) -> Option<StageView> {
    let stage = job.stage(at)?;
    let queue = state.queues.of(job.record.id, at);
    let items = job.items(at);
    let (running, backing_off) = queue.map_or((0, 0), |queue| (queue.live(), queue.waiting()));
    let (succeeded, failed) = (stage.succeeded(), stage.failed());
    Some(StageView {
        items,
        is_final: job.is_final(at),
        queued: items.saturating_sub(succeeded + failed + running + backing_off),
        running,
        succeeded,
        failed,
        backing_off,
        failed_attempts: queue.map_or(failed, |queue| queue.failed_attempts().max(failed)),
    })
}

fn why_idle(state: &State, namespace: &Namespace, stages: &[StageView]) -> &'static str {
    if state.fleet.connected_for(namespace).next().is_none() {
        NO_WORKER
    } else if state.reunion.misses(|worker| state.ledger.clientele(worker).has(namespace)) {
        "waiting for workers that were here before the coordinator's restart"
    } else if stages.iter().any(|stage| stage.backing_off > 0) && stages.iter().all(|stage| stage.queued == 0) {
        "failed items wait for their next try"
    } else {
        "all slots are taken"
    }
}

/// Why something has no worker. The same words whether there are workers of others or not: that is not for everybody to know.
const NO_WORKER: &str = "no worker is connected that may be given it";

/// A deployed service as it stands.
pub(crate) fn service(state: &State, name: &ServiceName) -> Option<ServiceView> {
    let service = state.ledger.service(name)?;
    let plan = service.plan.as_ref()?;
    let replicas = plan.replicas_of(name, service.generation).map(|key| replica(state, key)).collect();
    Some(ServiceView { generation: service.generation, detail: service.detail, replicas })
}

fn replica(state: &State, key: ReplicaKey) -> ReplicaView {
    let placed = state.placement.get(&key);
    let worker = placed.map(|placed| placed.worker);
    let life = worker.and_then(|worker| state.fleet.worker(worker));
    ReplicaView {
        worker: worker.map(|worker| (worker, life.map_or(String::new(), |life| life.name.clone()))),
        phase: placed.map_or(ReplicaPhase::Starting, |placed| placed.phase),
        reachable: life.is_some_and(|life| life.connected),
        message: placed.map_or_else(|| NO_WORKER.to_owned(), |placed| placed.message.clone()),
        key,
    }
}

/// Every worker whose lease runs.
pub(crate) fn workers(state: &State) -> Vec<WorkerView> {
    let view = |(id, worker): (WorkerId, &Worker)| {
        let (attempts, replicas) = (worker.attempts.len(), state.placement.on(id).len());
        self::worker(id, worker, attempts, replicas)
    };
    state.fleet.workers().map(view).collect()
}

/// Every worker whose lease runs that may be given work of this namespace, with what it has of that.
pub(crate) fn workers_for(state: &State, namespace: &Namespace) -> Vec<WorkerView> {
    let mut held: BTreeMap<WorkerId, usize> = BTreeMap::new();
    for (_, item, worker) in state.fleet.attempts() {
        if state.ledger.job(item.job).is_some_and(|job| job.record.namespace == *namespace) {
            *held.entry(worker).or_default() += 1;
        }
    }
    let view = |(id, worker): (WorkerId, &Worker)| {
        let replicas = state.placement.on(id).filter(|key| key.service.namespace == *namespace);
        self::worker(id, worker, held.get(&id).copied().unwrap_or_default(), replicas.count())
    };
    state.fleet.workers().filter(|(id, _)| state.fleet.clientele(*id).has(namespace)).map(view).collect()
}

fn worker(id: WorkerId, worker: &Worker, attempts: usize, replicas: usize) -> WorkerView {
    WorkerView {
        id,
        name: worker.name.clone(),
        connected: worker.connected,
        slots: worker.slots,
        attempts: attempts as u64,
        replicas: replicas as u64,
    }
}
