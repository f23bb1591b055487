//! Flags of the servers.

use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf, thread};

use clap::{Args, ValueEnum};
use longshore_local::data_dir;

/// Where a coordinator listens unless told otherwise: only this machine can reach it.
const LISTEN: &str = "127.0.0.1:7077";

/// How containers are run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Runtime {
    /// By the Docker Engine.
    #[default]
    Docker,
    /// As plain processes, with no isolation at all: for trying things where no Docker is.
    Process,
}

/// Flags of `up`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  longshore up
  longshore up --data /srv/longshore --slots 16
  longshore up --runtime process")]
pub struct UpArgs {
    /// Where everything is kept
    #[arg(long, value_name = "DIR", default_value_os_t = data_dir())]
    pub data: PathBuf,
    /// Address to listen on
    #[arg(long, value_name = "ADDR:PORT", default_value = LISTEN)]
    pub listen: SocketAddr,
    /// Start although acknowledged data is lost: what is gone is given up, and jobs that need it fail
    #[arg(long)]
    pub accept_data_loss: bool,
    #[command(flatten)]
    pub capacity: CapacityArgs,
}

/// Flags of `coordinator`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  longshore coordinator
  longshore coordinator --data /srv/longshore --listen 127.0.0.1:7000")]
pub struct CoordinatorArgs {
    /// Where everything is kept
    #[arg(long, value_name = "DIR", default_value_os_t = data_dir())]
    pub data: PathBuf,
    /// Address to listen on
    #[arg(long, value_name = "ADDR:PORT", default_value = LISTEN)]
    pub listen: SocketAddr,
    /// Start although acknowledged data is lost: what is gone is given up, and jobs that need it fail
    #[arg(long)]
    pub accept_data_loss: bool,
}

/// A worker to run.
#[derive(Debug)]
pub struct WorkerArgs {
    /// Coordinator to join.
    pub join: String,
    /// Where the worker keeps what it needs.
    pub data: PathBuf,
    /// Name shown in listings.
    pub name: String,
    /// What it may run, and how much at once.
    pub capacity: CapacityArgs,
}

/// Flags of `worker`. They stand beside a subcommand that needs none of them, so none is there for certain.
#[derive(Debug, Args)]
pub struct WorkerFlags {
    /// Coordinator to join
    #[arg(long, value_name = "HOST:PORT", required = true)]
    join: Option<String>,
    /// Where the worker keeps what it needs
    #[arg(long, value_name = "DIR", default_value_os_t = data_dir().join("worker"))]
    data: PathBuf,
    /// Name shown in listings; the host's unless set
    #[arg(long, value_name = "NAME", default_value_t = host_name())]
    name: String,
    #[command(flatten)]
    capacity: CapacityArgs,
}

impl WorkerFlags {
    /// The worker to run, if a coordinator is named.
    pub fn worker(self) -> Option<WorkerArgs> {
        Some(WorkerArgs { join: self.join?, data: self.data, name: self.name, capacity: self.capacity })
    }
}

/// What a worker may run, and how much at once.
#[derive(Debug, Clone, Args)]
pub struct CapacityArgs {
    /// Attempts to run at once; one for each core unless set
    #[arg(long, value_name = "N", default_value_t = cores())]
    pub slots: NonZeroU32,
    /// How containers are run
    #[arg(long, value_enum, default_value_t)]
    pub runtime: Runtime,
    /// Network that containers may ask for; may be repeated
    #[arg(long, value_name = "NET")]
    pub allow_network: Vec<String>,
    /// Let specifications run containers as root
    #[arg(long)]
    pub allow_root: bool,
    /// With --runtime process as root: let every command of every job run as root of this machine
    #[arg(long)]
    pub allow_commands_as_root: bool,
}

/// The host's name.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn cores() -> NonZeroU32 {
    let cores = thread::available_parallelism().ok();
    cores.and_then(|cores| cores.try_into().ok()).unwrap_or(NonZeroU32::MIN)
}
