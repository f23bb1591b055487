//! What people are shown.

use std::collections::BTreeMap;

use crate::{
    ids::{Digest, ItemKey, JobId, Namespace, WorkerId},
    input::ReplicaPhase,
    jobs::Job,
    record::JobRecord,
    services::{ReplicaKey, ServiceName},
    stages::Source,
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
    /// How many items were given up for what went away under them.
    pub given_up: u64,
    /// The first of them.
    pub given_up_first: Vec<(ItemKey, Option<Source>)>,
    /// Workers that are left out of its stages, for they could not get an image; at most 8.
    pub no_images: Vec<NoImage>,
}

/// A worker that could not get the image of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoImage {
    /// The job.
    pub job: JobId,
    /// Its stage.
    pub stage: u16,
    /// The worker.
    pub worker: WorkerId,
    /// Its name.
    pub name: String,
    /// It is given nothing of that until then, steady milliseconds.
    pub until_ms: u64,
    /// What it said: not read by the core.
    pub detail: Vec<u8>,
}

/// Items given up that are named.
const GIVEN_UP: usize = 8;

/// Workers, or stages, that are named for an image that is missing.
const NO_IMAGES: usize = 8;

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
    /// Ended well with nothing in them.
    pub filtered: u64,
    /// Waiting for their next try.
    pub backing_off: u64,
    /// Attempts that failed, as far as this run of the coordinator has seen; at least one for each item given up.
    pub failed_attempts: u64,
    /// Of a stage that gathers: how complete what it gathered is.
    pub gathered: Option<Gathered>,
    /// What its image's registry knows that by, where workers have agreed on it.
    pub image: Option<Digest>,
}

/// An item that is with a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtWork {
    /// Its position in its stage.
    pub index: u64,
    /// The worker's name.
    pub worker: String,
    /// When it was given to it, or found with it after a start, unix milliseconds.
    pub since_ms: u64,
}

/// How complete what a stage gathered is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gathered {
    /// Inputs of the job that are in it: of groups whose item is there.
    pub inputs: u64,
    /// Inputs there are in all of its groups.
    pub of: u64,
    /// Groups of which too much was missing.
    pub short: u64,
    /// Groups there are.
    pub groups: u64,
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
    /// It is given nothing more.
    pub draining: bool,
    /// Stages that it is left out of, for it could not get their image; at most 8.
    pub no_images: Vec<(JobId, u16)>,
}

/// A job as it stands.
pub(crate) fn job(state: &State, id: JobId) -> Option<JobView> {
    let job = state.ledger.job(id)?;
    let stages: Vec<StageView> = (0..job.stage_count()).filter_map(|at| stage(state, job, at)).collect();
    let idle =
        job.record.state.may_dispatch() && job.record.cut.is_none() && stages.iter().all(|stage| stage.running == 0);
    let idle_because = idle.then(|| match &job.record {
        record if record.paused.is_some() => "it is paused; `longshore job resume` lets it go on",
        record if !record.awaits.is_empty() => "it waits for other jobs to end",
        record => why_idle(state, &record.namespace, &stages),
    });
    let named = job.given_up().take(GIVEN_UP);
    let given_up_first = named.map(|item| (item, job.source(item.stage.into(), item.index))).collect();
    let given_up = job.given_up().len() as u64;
    let no_images = no_images(state, Some(id)).take(NO_IMAGES).collect();
    Some(JobView { record: job.record.clone(), stages, idle_because, given_up, given_up_first, no_images })
}

/// Workers that could not get images, and are given nothing of those stages for a while; of one job if it is named.
pub(crate) fn no_images(state: &State, job: Option<JobId>) -> impl Iterator<Item = NoImage> {
    state.queues.missing.all(job).filter_map(|((job, stage), worker, miss)| {
        let name = state.fleet.worker(worker)?.name.clone();
        Some(NoImage { job, stage, worker, name, until_ms: miss.until_ms, detail: miss.detail.clone() })
    })
}

/// The items of a stage that are with workers, from this one on.
pub(crate) fn at_work(state: &State, job: JobId, stage: u16, from: u64) -> impl Iterator<Item = AtWork> {
    let queue = state.queues.of(job, stage.into());
    queue.into_iter().flat_map(move |queue| queue.live_from(from)).filter_map(|(index, attempt)| {
        let (worker, since_ms) = state.fleet.at_work(attempt)?;
        Some(AtWork { index, worker: worker.to_owned(), since_ms })
    })
}

fn stage(state: &State, job: &Job, at: usize) -> Option<StageView> {
    let stage = job.stage(at)?;
    let queue = state.queues.of(job.record.id, at);
    let items = job.items(at);
    let (running, backing_off) = queue.map_or((0, 0), |queue| (queue.live(), queue.waiting()));
    let (succeeded, failed, filtered) = (stage.succeeded(), stage.failed(), stage.filtered());
    Some(StageView {
        items,
        is_final: job.is_final(at),
        queued: items.saturating_sub(stage.ended() + running + backing_off),
        running,
        succeeded,
        failed,
        filtered,
        backing_off,
        failed_attempts: queue.map_or(failed, |queue| queue.failed_attempts().max(failed)),
        gathered: job.gathering(at).map(|gathering| {
            let counts = gathering.counts();
            Gathered { inputs: counts.covered, of: counts.inputs, short: counts.short, groups: gathering.len() }
        }),
        image: job.image(at),
    })
}

fn why_idle(state: &State, namespace: &Namespace, stages: &[StageView]) -> &'static str {
    if !state.fleet.has_any_for(namespace) {
        NO_WORKER
    } else if state.fleet.takers_for(namespace, None).next().is_none() {
        NO_TAKER
    } else if state.reunion.misses(|worker| state.ledger.clientele(worker).has(namespace)) {
        "waiting for workers that were here before the coordinator's restart"
    } else if stages.iter().any(|stage| stage.backing_off > 0) && stages.iter().all(|stage| stage.queued == 0) {
        "failed items wait for their next try"
    } else if state.queues.has_suspects() {
        "items under which workers went down wait for a worker that runs nothing else, or for those to end"
    } else {
        "all slots are taken"
    }
}

/// Why something has no worker. The same words whether there are workers of others or not: that is not for everybody to know.
const NO_WORKER: &str = "no worker is connected that may be given it";

/// Why something has no worker although there are some.
const NO_TAKER: &str = "no worker takes work now; `longshore worker ls` says why";

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
    with_no_images(state, state.fleet.workers().map(view).collect(), |_| true)
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
    let theirs = state.fleet.workers().filter(|(id, _)| state.fleet.clientele(*id).has(namespace)).map(view).collect();
    let is_theirs = |job| state.ledger.job(job).is_some_and(|job| job.record.namespace == *namespace);
    with_no_images(state, theirs, is_theirs)
}

/// Says of each of these workers which stages of such jobs it is left out of.
fn with_no_images(state: &State, workers: Vec<WorkerView>, of: impl Fn(JobId) -> bool) -> Vec<WorkerView> {
    let mut missing: BTreeMap<WorkerId, Vec<(JobId, u16)>> = BTreeMap::new();
    for (place, worker, _) in state.queues.missing.all(None).filter(|((job, _), ..)| of(*job)) {
        let places = missing.entry(worker).or_default();
        if places.len() < NO_IMAGES {
            places.push(place);
        }
    }
    let mut tell = |worker: WorkerView| {
        let no_images = missing.remove(&worker.id).unwrap_or_default();
        WorkerView { no_images, ..worker }
    };
    workers.into_iter().map(&mut tell).collect()
}

fn worker(id: WorkerId, worker: &Worker, attempts: usize, replicas: usize) -> WorkerView {
    WorkerView {
        id,
        name: worker.name.clone(),
        connected: worker.connected,
        slots: worker.slots,
        attempts: attempts as u64,
        replicas: replicas as u64,
        draining: worker.draining,
        no_images: Vec::new(),
    }
}
