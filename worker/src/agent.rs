//! The agent: everything of one worker, from its start to its goodbye.

use std::{
    collections::BTreeMap,
    future::Future,
    io,
    panic::resume_unwind,
    path::PathBuf,
    pin::pin,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use futures_util::future::OptionFuture;
use longshore_local::TokenSource;
use longshore_proto::v1::{self, ReplicaId};
use longshore_root::{Memory, Transport};
use longshore_way::AddressError;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    bounds::{Ceilings, Machine, Policy},
    cache::Cache,
    coordinator::{
        JoinError, Refused,
        agreements::Agreements,
        calls,
        held::Held,
        joining::{self, Entered},
        link::{GivenUp, Link},
        orders::Orders,
        renewing::keep_renewed,
        report::report,
    },
    executor::{Executor, Options},
    fitness::{About, Fitness},
    home::Home,
    replicas::Replicas,
    runtime::{Allows, Runtime, RuntimeError},
    tenure::{Boottime, Tenure},
    trials::keep_trying,
};

/// Bytes of inputs and data a worker keeps for the next time.
const CACHE_BYTES: u64 = 16 << 30;

/// How long a coordinator may take to say whether we may come in.
const ASKING: Duration = Duration::from_secs(5);

/// How long a trial of the runtime may still take when it is time to leave. It takes less than a second.
const TRIAL: Duration = Duration::from_secs(5);

/// How long the end may take beside an engine that does not answer. Slots and replicas give up before.
const ENDING: Duration = Duration::from_secs(30);

/// Results that may wait to be told.
const FINISHED: usize = 1_024;

/// What a worker is told at its start.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the coordinator listens.
    pub coordinator: String,
    /// A token: of a coordinator of this machine, or to join one of another. Without it we come in as the user we are, or as
    /// the member this worker is.
    pub token: Option<TokenSource>,
    /// For people.
    pub name: String,
    /// Attempts it runs at once; at least 1.
    pub slots: usize,
    /// How long a warm container is kept without work.
    pub idle: Duration,
    /// The most that specifications may ask for.
    pub ceilings: Ceilings,
    /// What it has for work.
    pub capacity: Capacity,
    /// Bytes of memory for queries, parts and answers that travel through it together; a share of the machine's unless set.
    pub query_memory: Option<u64>,
    /// Ends with an error when it is refused before it was ever welcome, instead of trying again: somebody sees that.
    pub may_end: bool,
}

/// What a worker has for work, where its operator says so.
#[derive(Debug, Clone, Default)]
pub struct Capacity {
    /// CPUs for all of it, thousandths; the machine's unless set.
    pub cpu_milli: Option<u32>,
    /// Memory for all of it, bytes; the machine's unless set.
    pub memory_bytes: Option<u64>,
    /// Other resources, and how many there are of each.
    pub resources: BTreeMap<String, u64>,
    /// For constraints.
    pub labels: BTreeMap<String, String>,
}

impl Capacity {
    /// As much of the machine as there is for work.
    fn machine(&self, machine: Machine) -> Machine {
        Machine {
            cpu_milli: self.cpu_milli.unwrap_or(machine.cpu_milli),
            memory_bytes: self.memory_bytes.unwrap_or(machine.memory_bytes),
        }
    }
}

/// As the coordinator is told it. Of memory whole 64 MiB: workers that offer the same are looked at together, and of like machines
/// hardly two have the same number of bytes.
fn offer(capacity: &Capacity, bounds: &Policy, allows: Allows) -> v1::Offer {
    const STEP: u64 = 64 << 20;
    let (machine, ceilings) = bounds.offered();
    let any_network = allows.networks.is_none();
    let memory_bytes = match capacity.memory_bytes {
        Some(said) => said,
        None => (machine.memory_bytes / STEP * STEP).max(STEP.min(machine.memory_bytes)),
    };
    v1::Offer {
        cpu_milli: machine.cpu_milli,
        memory_bytes,
        resources: capacity.resources.clone().into_iter().collect(),
        labels: capacity.labels.clone().into_iter().collect(),
        networks: allows.networks.unwrap_or_default(),
        any_network,
        root: allows.root,
        users: allows.users,
        workdir: allows.workdir,
        max_cpu_milli: ceilings.cpu_milli,
        max_memory_bytes: ceilings
            .memory_bytes
            .map(|most| if most == machine.memory_bytes { memory_bytes } else { most }),
        max_pids: ceilings.pids,
        max_tmp_bytes: ceilings.tmp_bytes,
        max_shm_bytes: ceilings.shm_bytes,
        max_output_bytes: ceilings.total_output_bytes,
    }
}

/// Why a worker cannot work.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The coordinator's address is none.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// Somebody else is there, or we may not come in.
    #[error("cannot join the coordinator at {address}")]
    Refused {
        /// Where.
        address: String,
        /// Why.
        source: Refused,
    },
    /// It has not become a member.
    #[error("cannot join the coordinator at {address}")]
    Join {
        /// Where.
        address: String,
        /// Why.
        source: Box<JoinError>,
    },
    /// Another process is this worker.
    #[error("cannot join the coordinator at {address}: {told}")]
    Taken {
        /// Where.
        address: String,
        /// What the coordinator says.
        told: String,
        /// The directory of the worker that was refused.
        dir: PathBuf,
    },
    /// The coordinator is of a version that does not go with ours.
    #[error("cannot join the coordinator at {address}: {told}")]
    Version {
        /// Where.
        address: String,
        /// What the coordinator says.
        told: String,
    },
    /// What an earlier life left cannot be removed.
    #[error("cannot remove what an earlier run of this worker left behind")]
    Sweep(#[from] RuntimeError),
    /// Its directories cannot be used.
    #[error("cannot use {}", path.display())]
    Directory {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl AgentError {
    fn of_join(error: JoinError, address: &str) -> Self {
        match error {
            JoinError::Address(error) => error.into(),
            error => Self::Join { address: address.to_owned(), source: error.into() },
        }
    }

    /// The next thing to do, where there is one.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Taken { dir, .. } => Some(format!(
                "each worker needs a directory of its own: give this one another with --data, or, if {dir} was copied with a \
                 machine or an image, make it a new worker: rm -r {dir}/worker-id {dir}/identity",
                dir = dir.display()
            )),
            _ => None,
        }
    }
}

/// Takes the way to a worker's replicas, once they are there: how a coordinator of the same process comes to call them.
pub type TakeReplicas = Box<dyn FnOnce(Arc<dyn Transport<ReplicaId>>) + Send>;

/// Works until `stop` is done: connects, and reconnects whenever the link is lost. Then ends every container and says
/// goodbye. Where nobody of this process takes the replicas, a stream for queries to the coordinator is kept up.
///
/// # Errors
/// When the worker cannot start, or may not join. A coordinator that does not answer is waited for.
pub async fn run(
    home: Home,
    runtime: Arc<dyn Runtime>,
    config: Config,
    take_replicas: Option<TakeReplicas>,
    stop: impl Future<Output = ()>,
) -> Result<(), AgentError> {
    let mut stop = pin!(stop);
    let entered = tokio::select! {
        entered = joining::enter(&home, &config.coordinator, config.token, &config.name) => entered,
        () = &mut stop => return Ok(()),
    };
    let Entered { coordinator, identity } = entered.map_err(|error| AgentError::of_join(error, &config.coordinator))?;
    // Whoever takes longer to answer is waited for by the link.
    let asked = tokio::select! {
        asked = timeout(ASKING, coordinator.ensure_not_refused()) => asked,
        () = &mut stop => return Ok(()),
    };
    if let Ok(Err(source)) = asked {
        return Err(AgentError::Refused { address: config.coordinator, source });
    }
    let home = Arc::new(home);
    let fitness = Arc::new(Fitness::default());
    fitness.report(About::Runtime, Some("whether its runtime works is not known yet".to_owned()));
    let (tried_enough, mut trials) = {
        let (runtime, fitness, enough) = (Arc::clone(&runtime), Arc::clone(&fitness), CancellationToken::new());
        let (dir, guard) = (home.dir().join("trial"), enough.clone().drop_guard());
        (guard, tokio::spawn(async move { keep_trying(runtime, &dir, fitness, enough).await }))
    };
    let path = |name: &str| home.dir().join(name);
    let directory = |path: PathBuf| move |source| AgentError::Directory { path, source };
    let cache = Cache::open_linking(&path("cache"), CACHE_BYTES, coordinator.fetcher(), Some(coordinator.linker()))
        .map_err(directory(path("cache")))?;
    let (finished, ends) = mpsc::channel(FINISHED);
    let mut options = Options::new(config.slots, path("slots"));
    options.idle = config.idle;
    let bounds = Policy::new(config.capacity.machine(Machine::look()), config.slots, config.ceilings);
    let offer = offer(&config.capacity, &bounds, runtime.allows());
    options.bounds = bounds;
    options.fitness = Arc::clone(&fitness);
    let executor = Executor::start(Arc::clone(&runtime), Arc::new(cache.clone()), options, finished)
        .map_err(directory(path("slots")))?;
    let executor = Arc::new(executor);
    let images = Arc::new(Agreements::default());
    executor.agree_by(Arc::<Agreements>::clone(&images));
    let replicas = Replicas::start(Arc::clone(&runtime), cache.clone(), path("replicas"), bounds)
        .map_err(directory(path("replicas")))?;
    let renewal = identity.clone().map(|identity| {
        let renewal = keep_renewed(coordinator.clone(), Arc::clone(&home), identity, longshore_trust::system_clock());
        tokio::spawn(renewal)
    });
    let held = Arc::new(Held::default());
    let (results, to_tell) = mpsc::unbounded_channel();
    let reports = tokio::spawn(report(ends, coordinator.clone(), Arc::clone(&held), results.clone()));
    let leave = CancellationToken::new();
    let tenure = Arc::new(Tenure::new(Boottime));
    let incarnation = Uuid::new_v4();
    let link = Link {
        coordinator: coordinator.clone(),
        home: Arc::clone(&home),
        identity,
        incarnation,
        name: config.name,
        slots: u32::try_from(config.slots).unwrap_or(u32::MAX),
        may_end: config.may_end,
        offer,
        runtime: Arc::clone(&runtime),
        orders: Orders {
            executor: Arc::clone(&executor),
            blobs: cache,
            held,
            results,
            replicas: Arc::clone(&replicas),
            images,
        },
        tenure: Arc::clone(&tenure),
        fitness,
        welcome: watch::Sender::new(0),
        moved_in: AtomicBool::new(false),
    };
    let tunnel = match take_replicas {
        Some(take) => {
            take(Arc::<Replicas>::clone(&replicas));
            None
        }
        None => {
            let memory = Memory::new(config.query_memory.unwrap_or_else(|| Machine::look().query_memory()));
            let replicas = (Arc::clone(&replicas), memory);
            let lives = (home.id(), incarnation);
            let tunnel = calls::serve(coordinator, lives, replicas, link.welcome.subscribe(), leave.clone());
            Some(tokio::spawn(tunnel))
        }
    };
    let watch = tokio::spawn(async move { tenure.keep_watch().await });
    let mut link = tokio::spawn(link.keep_up(to_tell, leave.clone()));
    let ended = tokio::select! {
        () = &mut stop => None,
        ended = &mut link => Some(ended),
    };
    drop(tried_enough);
    let trials = async {
        if timeout(TRIAL, &mut trials).await.is_err() {
            trials.abort();
            tracing::warn!("the trial of the runtime hangs; what it has begun is removed at the next start");
        }
    };
    let ending = async {
        tokio::join!(executor.shutdown(), replicas.shutdown(), trials);
        runtime.settle().await;
    };
    if timeout(ENDING, ending).await.is_err() {
        tracing::warn!(
            "not everything could be ended in time; what is left behind is removed at the next start of this worker"
        );
    }
    // Whether or not the coordinator can be told: no item went down with what has ended so.
    if let Err(error) = home.forget_life(incarnation) {
        tracing::warn!(%error, "the next run of this worker may be taken for one after a crash");
    }
    leave.cancel();
    let ended = match ended {
        Some(ended) => ended,
        None => link.await,
    };
    // Whatever becomes of these, nothing is left to be done.
    let _ = OptionFuture::from(tunnel).await;
    reports.abort();
    renewal.inspect(JoinHandle::abort);
    watch.abort();
    match ended {
        Ok(ended) => ended.map_err(|why| error_of(why, config.coordinator, &home)),
        Err(panicked) => panicked.try_into_panic().map_or(Ok(()), |panic| resume_unwind(panic)),
    }
}

fn error_of(why: GivenUp, address: String, home: &Home) -> AgentError {
    match why {
        GivenUp::Taken(told) => AgentError::Taken { address, told, dir: home.dir().to_owned() },
        GivenUp::Version(told) => AgentError::Version { address, told },
        GivenUp::Revoked(told) => AgentError::Join { address, source: Box::new(JoinError::Revoked(told)) },
        GivenUp::Sweep(error) => error.into(),
    }
}
