//! The agent: everything of one worker, from its start to its goodbye.

use std::{future::Future, io, path::PathBuf, pin::pin, sync::Arc, time::Duration};

use futures_util::future::OptionFuture;
use longshore_local::TokenSource;
use longshore_proto::v1::ReplicaId;
use longshore_root::Transport;
use longshore_way::AddressError;
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    cache::Cache,
    coordinator::{
        JoinError, Refused, calls,
        held::Held,
        joining::{self, Entered},
        link::Link,
        renewing::keep_renewed,
        report::report,
    },
    executor::{Executor, Options},
    home::Home,
    replicas::Replicas,
    runtime::{Runtime, RuntimeError},
};

/// Bytes of inputs and data a worker keeps for the next time.
const CACHE_BYTES: u64 = 16 << 30;

/// How long a coordinator may take to say whether we may come in.
const ASKING: Duration = Duration::from_secs(5);

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
        source: JoinError,
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
            source => Self::Join { address: address.to_owned(), source },
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
    if let Ok(Err(source)) = timeout(ASKING, coordinator.ensure_not_refused()).await {
        return Err(AgentError::Refused { address: config.coordinator, source });
    }
    let swept = runtime.sweep().await?;
    if swept > 0 {
        tracing::info!(containers = swept, "removed what an earlier run left behind");
    }
    let path = |name: &str| home.dir().join(name);
    let directory = |path: PathBuf| move |source| AgentError::Directory { path, source };
    let cache = Cache::open_linking(&path("cache"), CACHE_BYTES, coordinator.fetcher(), Some(coordinator.linker()))
        .map_err(directory(path("cache")))?;
    let (finished, ends) = mpsc::channel(FINISHED);
    let mut options = Options::new(config.slots, path("slots"));
    options.idle = config.idle;
    let executor = Executor::start(Arc::clone(&runtime), Arc::new(cache.clone()), options, finished)
        .map_err(directory(path("slots")))?;
    let executor = Arc::new(executor);
    let replicas =
        Replicas::start(Arc::clone(&runtime), cache.clone(), path("replicas")).map_err(directory(path("replicas")))?;
    let home = Arc::new(home);
    let renewal = identity.map(|identity| {
        let renewal = keep_renewed(coordinator.clone(), Arc::clone(&home), identity, longshore_trust::system_clock());
        tokio::spawn(renewal)
    });
    let held = Arc::new(Held::default());
    let (results, to_tell) = mpsc::unbounded_channel();
    let reports = tokio::spawn(report(ends, coordinator.clone(), Arc::clone(&held), results.clone()));
    let leave = CancellationToken::new();
    let link = Link {
        coordinator: coordinator.clone(),
        worker: home.id(),
        incarnation: Uuid::new_v4(),
        name: config.name,
        slots: u32::try_from(config.slots).unwrap_or(u32::MAX),
        runtime: runtime.name(),
        executor: Arc::clone(&executor),
        blobs: cache,
        held,
        results,
        replicas: Arc::clone(&replicas),
    };
    let tunnel = match take_replicas {
        Some(take) => {
            take(Arc::<Replicas>::clone(&replicas));
            None
        }
        None => {
            let replicas = Arc::clone(&replicas);
            let tunnel = calls::serve(coordinator, link.worker, link.incarnation, replicas, leave.clone());
            Some(tokio::spawn(tunnel))
        }
    };
    let link = tokio::spawn(link.keep_up(to_tell, leave.clone()));
    stop.await;
    tokio::join!(executor.shutdown(), replicas.shutdown());
    runtime.settle().await;
    leave.cancel();
    // Whatever becomes of these, nothing is left to be done.
    let _ = tokio::join!(link, OptionFuture::from(tunnel));
    reports.abort();
    renewal.inspect(JoinHandle::abort);
    Ok(())
}
