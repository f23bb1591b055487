//! The servers, wired together: the one place of the command line that knows their insides.

mod listen;
pub mod replay;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};
use longshore_coordinator::{Config, Coordinator};
use longshore_local::{PrivateDir, Token, TokenSource};
use longshore_worker::{
    agent::{self, Capacity},
    bounds::Ceilings,
    home::Home,
    runtime::{
        Runtime,
        docker::{DockerOptions, DockerRuntime},
        process::ProcessRuntime,
    },
};
use rustix::{
    fs::Mode,
    process::{Resource, Rlimit, getrlimit, setrlimit, umask},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

pub use self::listen::Doors;
use crate::{
    args::servers::{self, CapacityArgs, CeilingArgs, CoordinatorArgs, ServingArgs, UpArgs, WorkerArgs},
    exit::Exit,
    failure::Failure,
};

/// How long a warm container is kept without work.
const IDLE: Duration = Duration::from_secs(60);

/// Coordinator and worker on this machine.
pub async fn up(args: UpArgs) -> Result<ExitCode> {
    let stop = stop_signal()?;
    let data = private(&args.serving.data)?;
    let home = Home::open(&data.join("worker"))?;
    let runtime = runtime(&home, &args.capacity).await?;
    let slots = args.capacity.slots.get();
    let about = format!("{slots} slots, runtime {}, data in {}", runtime.name(), args.serving.data.display());
    let up =
        Up::start(&data, &args.serving, home, runtime, (slots, ceilings(&args.capacity), has(&args.capacity))).await?;
    up.doors.announce(&about);
    let ended_early = up.until(stop).await;
    up.stop().await?;
    ended_early?;
    Ok(ExitCode::SUCCESS)
}

/// A coordinator and a worker in this process.
pub struct Up {
    /// Where the coordinator is reached.
    pub doors: Doors,
    /// Cancelled when one of the two has ended.
    ended: CancellationToken,
    leave: CancellationToken,
    worker: JoinHandle<Result<(), agent::AgentError>>,
    stop: CancellationToken,
    coordinator: JoinHandle<Result<(), longshore_coordinator::ServeError>>,
}

impl Up {
    /// Starts both.
    pub async fn start(
        data: &Path,
        args: &ServingArgs,
        home: Home,
        runtime: Arc<dyn Runtime>,
        (slots, ceilings, capacity): (u32, Ceilings, Capacity),
    ) -> Result<Self> {
        let (ended, leave, stop) = (CancellationToken::new(), CancellationToken::new(), CancellationToken::new());
        // Whoever comes in while the store is opened waits, as at the port.
        let (listening, doors) = listen::all(args).await?;
        let coordinator = open(data, args)?;
        let nearby = coordinator.nearby(home.id().into_bytes());
        let serving = coordinator.serve(listening, stop.clone().cancelled_owned());
        let coordinator = tokio::spawn(telling(ended.clone(), serving));
        let config = agent::Config { ceilings, capacity, ..config(&doors.local, servers::host_name(), slots) };
        let working = agent::run(home, runtime, config, Some(nearby), leave.clone().cancelled_owned());
        let worker = tokio::spawn(telling(ended.clone(), working));
        Ok(Self { doors, ended, leave, worker, stop, coordinator })
    }

    /// Waits for `stop`, or for one of the two to end by itself, which is an error.
    async fn until(&self, stop: CancellationToken) -> Result<()> {
        tokio::select! {
            () = stop.cancelled() => Ok(()),
            () = self.ended.cancelled() => Err(anyhow!("a part of longshore has ended by itself")),
        }
    }

    /// Stops both. The worker leaves first: it says goodbye, so that a later start does not wait for it.
    pub async fn stop(self) -> Result<()> {
        self.leave.cancel();
        let worked = self.worker.await.context("the worker has panicked");
        self.stop.cancel();
        self.coordinator.await.context("the coordinator has panicked")??;
        worked??;
        Ok(())
    }
}

/// Does `work`; cancels `ended` when that is over, even by a panic.
async fn telling<T>(ended: CancellationToken, work: impl Future<Output = T>) -> T {
    let _guard = ended.drop_guard();
    work.await
}

/// A coordinator alone.
pub async fn coordinator(args: CoordinatorArgs) -> Result<ExitCode> {
    let stop = stop_signal()?;
    let args = args.serving;
    let data = private(&args.data)?;
    let (listening, doors) = listen::all(&args).await?;
    let coordinator = open(&data, &args)?;
    doors.announce(&format!("data in {}", args.data.display()));
    coordinator.serve(listening, stop.cancelled_owned()).await?;
    Ok(ExitCode::SUCCESS)
}

/// A worker that joins a coordinator.
pub async fn worker(args: WorkerArgs, token: Option<TokenSource>) -> Result<ExitCode> {
    let stop = stop_signal()?;
    let token = match &args.token {
        Some(text) => {
            let typed = Token::parse(text).with_context(|| Failure::usage("the token cannot be used"))?;
            Some(TokenSource::Text(typed))
        }
        None => token,
    };
    let home = Home::open(&args.data)?;
    let runtime = runtime(&home, &args.capacity).await?;
    let slots = args.capacity.slots.get();
    eprintln!("worker {} joins {} with {slots} slots, runtime {}", args.name, args.join, runtime.name());
    let (ceilings, capacity) = (ceilings(&args.capacity), has(&args.capacity));
    let query_memory = args.query_memory.map(|size| size.0);
    let config = agent::Config {
        token,
        may_end: true,
        ceilings,
        capacity,
        query_memory,
        ..config(&args.join, args.name, slots)
    };
    agent::run(home, runtime, config, None, stop.cancelled_owned()).await.map_err(hinted)?;
    Ok(ExitCode::SUCCESS)
}

/// With what is to be done next.
fn hinted(error: agent::AgentError) -> anyhow::Error {
    match error.hint() {
        Some(hint) => Failure::new(Exit::Failed, error.to_string()).hint(hint).into(),
        None => error.into(),
    }
}

/// The runtime that was asked for, ready to start containers.
pub async fn runtime(home: &Home, capacity: &CapacityArgs) -> Result<Arc<dyn Runtime>> {
    match capacity.runtime {
        servers::Runtime::Docker => {
            let mut options = DockerOptions::new(home.id(), home.dir().join("shim"));
            options.networks.clone_from(&capacity.allow_network);
            options.allow_root = capacity.allow_root;
            options.registry_config.clone_from(&capacity.registry_config);
            options.trust_local_images = capacity.trust_local_images;
            options.pulled = Some(home.pulled());
            let runtime = DockerRuntime::connect(options).await.map_err(|error| {
                anyhow::Error::new(error).context(
                    Failure::new(Exit::Failed, "the Docker Engine cannot be used")
                        .hint(format!("see `longshore doctor`, or run without isolation: {}", without_isolation())),
                )
            })?;
            Ok(Arc::new(runtime))
        }
        servers::Runtime::Process => {
            ensure_harmless(capacity)?;
            let dir = home.dir().join("shim");
            let runtime =
                ProcessRuntime::new(home.id(), &dir).with_context(|| format!("cannot use {}", dir.display()))?;
            Ok(Arc::new(runtime))
        }
    }
}

/// The flags with which whoever this is can work without an engine.
pub fn without_isolation() -> &'static str {
    match rustix::process::geteuid().is_root() {
        true => "--runtime process --allow-commands-as-root",
        false => "--runtime process",
    }
}

/// Whoever may submit a job runs commands as we do, without any isolation.
fn ensure_harmless(capacity: &CapacityArgs) -> Result<()> {
    if !rustix::process::geteuid().is_root() || capacity.allow_commands_as_root {
        return Ok(());
    }
    let why = "--runtime process has no isolation: as root, every command of every job would be root on this machine";
    Err(Failure::new(Exit::NotAllowed, why)
        .hint("start it as another user, or with --runtime docker; if it is meant, add --allow-commands-as-root")
        .into())
}

/// Closes the directory of all data to others; answers where it is, without links.
fn private(data: &Path) -> Result<PathBuf> {
    let opened =
        PrivateDir::open_around(data, |name| ["audit", "coordinator", "keys", "worker", "run"].contains(&name))
            .context("the data directory cannot be used")?;
    if let Some(mode) = opened.mended() {
        tracing::warn!(dir = %data.display(), "others could look into the data directory (mode {mode:o}): closed to them");
    }
    Ok(opened.path().to_owned())
}

fn config(coordinator: &str, name: String, slots: u32) -> agent::Config {
    agent::Config {
        coordinator: coordinator.to_owned(),
        token: None,
        name,
        slots: slots as usize,
        idle: IDLE,
        ceilings: Ceilings::default(),
        capacity: Capacity::default(),
        query_memory: None,
        may_end: false,
    }
}

/// What there is for work, where its operator says so.
fn has(args: &CapacityArgs) -> Capacity {
    Capacity {
        cpu_milli: args.cpus.map(|cpus| cpus.0),
        memory_bytes: args.memory.map(|memory| memory.0),
        resources: args.resource.iter().map(|resource| (resource.name.clone(), resource.count)).collect(),
        labels: args.label.iter().cloned().collect(),
    }
}

fn ceilings(capacity: &CapacityArgs) -> Ceilings {
    let CeilingArgs { max_memory, max_cpus, max_pids, max_tmp_size, max_shm_size, max_total_output } =
        capacity.ceilings;
    Ceilings {
        memory_bytes: max_memory.map(|size| size.0),
        cpu_milli: max_cpus.map(|cpus| cpus.0),
        pids: max_pids.map(|most| most.0),
        tmp_bytes: max_tmp_size.map(|size| size.0),
        shm_bytes: max_shm_size.map(|size| size.0),
        total_output_bytes: max_total_output.map(|size| size.0),
    }
}

fn open(data: &Path, args: &ServingArgs) -> Result<Coordinator> {
    let keys = args.keys.clone().unwrap_or_else(|| data.join("keys"));
    let mut config = Config {
        accept_data_loss: args.accept_data_loss,
        new_authority: args.new_authority,
        certificates_for: args.certificates_for,
        query_memory: args.query_memory.map(|size| size.0),
        ..Config::new(data.join("coordinator"), keys, data.join("audit"))
    };
    config.settings.lease_ms = u64::try_from(args.lease.as_millis()).unwrap_or(u64::MAX);
    config.store.probe = longshore_coordinator::Probe::Child;
    Ok(tokio::task::block_in_place(|| Coordinator::open(&config))?)
}

/// What every server needs of its process, whatever it was started with.
pub fn settle() {
    // Files get the modes that are asked for: what is private is made so, and containers read what they are given.
    umask(Mode::from_raw_mode(0o022));
    // Every connection is a descriptor, and the usual soft limit is for programs that use `select`.
    let limit = getrlimit(Resource::Nofile);
    // With the limit it has, a server works too, for fewer.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// Cancelled by the first Ctrl-C or SIGTERM; the second ends the process on the spot.
fn stop_signal() -> Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?;
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    tokio::spawn(async move {
        for already in [false, true] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if already {
                std::process::exit(Exit::Interrupted as i32);
            }
            eprintln!("stopping: containers are ended, jobs go on at the next start (again to stop at once)");
            stopping.cancel();
        }
    });
    Ok(stop)
}
