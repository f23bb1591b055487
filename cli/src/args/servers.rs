//! Flags of the servers.

use std::{num::NonZeroU32, ops::RangeInclusive, path::PathBuf, thread, time::Duration};

use clap::{Args, ValueEnum};
use longshore_local::data_dir;

use super::listen::ListenAt;
use crate::spec::{
    quantity::{ByteSize, Count, MilliCpus, Quantity as _},
    resource::{self, Resource},
};

/// Where a coordinator listens unless told otherwise, on loopback: only this machine can reach it.
const PORT: u16 = 7077;

/// How long a worker may be out of reach unless told otherwise.
const LEASE: Duration = Duration::from_secs(10);

/// What it may be told: heartbeats go eight times in it, and whoever does not answer for so long is not waited for.
const LEASES: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(600);

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
  longshore up --listen 127.0.0.1:7077 --listen 192.0.2.1:7077
  longshore up --runtime process")]
pub struct UpArgs {
    #[command(flatten)]
    pub serving: ServingArgs,
    #[command(flatten)]
    pub capacity: CapacityArgs,
}

/// Flags of `coordinator`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  longshore coordinator
  longshore coordinator --data /srv/longshore --listen 127.0.0.1:7000
  longshore coordinator --listen 0.0.0.0:7077 --hostname longshore.example.org")]
pub struct CoordinatorArgs {
    #[command(flatten)]
    pub serving: ServingArgs,
}

/// What every coordinator is told.
#[derive(Debug, Clone, Args)]
pub struct ServingArgs {
    /// Where everything is kept
    #[arg(long, value_name = "DIR", default_value_os_t = data_dir())]
    pub data: PathBuf,
    /// Address to listen on; may be repeated. Loopback is for this machine, any other is served with TLS alone
    #[arg(long, value_name = "ADDR:PORT", default_values_t = [ListenAt::loopback(PORT)])]
    pub listen: Vec<ListenAt>,
    /// Name by which browsers and programs of other machines call it; may be repeated
    #[arg(long, value_name = "NAME")]
    pub hostname: Vec<String>,
    /// Certificate for browsers, in PEM, with what has signed it; looked after while it runs
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Its key, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Where the key that other machines trust is kept; `keys` in the data directory unless set. Back it up apart from the data
    #[arg(long, value_name = "DIR")]
    pub keys: Option<PathBuf>,
    /// How long a worker's certificate is good, 10s to 1y; it renews itself at a third to two thirds of that
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = certificates)]
    pub certificates_for: Duration,
    /// Make a new such key where it is lost: then every worker of another machine has to join again
    #[arg(long)]
    pub new_authority: bool,
    /// How long a worker may be out of reach before its work is given to others: 1s to 10m
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = lease)]
    pub lease: Duration,
    /// Memory for bodies, parts and answers of queries together, at least 64m; an eighth of the machine's, at least 256m, unless set
    #[arg(long, value_name = "SIZE", value_parser = query_memory)]
    pub query_memory: Option<ByteSize>,
    /// Start although acknowledged data is lost: what is gone is given up, and jobs that need it fail
    #[arg(long)]
    pub accept_data_loss: bool,
}

impl ServingArgs {
    /// On one address, with everything in one directory.
    pub fn of(data: PathBuf, listen: ListenAt) -> Self {
        Self {
            data,
            listen: vec![listen],
            hostname: Vec::new(),
            tls_cert: None,
            tls_key: None,
            keys: None,
            certificates_for: CERTIFICATES_FOR,
            new_authority: false,
            lease: LEASE,
            query_memory: None,
            accept_data_loss: false,
        }
    }
}

/// Least memory for queries: one may take half of it.
const QUERY_MEMORY: u64 = 64 << 20;

/// A text that is no memory for queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the memory for queries is a size of at least 64m, such as 512m or 2g")]
struct NoMemory;

fn query_memory(text: &str) -> Result<ByteSize, NoMemory> {
    ByteSize::from_text(text).filter(|size| size.0 >= QUERY_MEMORY).ok_or(NoMemory)
}

/// A text that is no lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a lease is 1s to 10m")]
struct NoLease;

fn lease(text: &str) -> Result<Duration, NoLease> {
    humantime::parse_duration(text).ok().filter(|lease| LEASES.contains(lease)).ok_or(NoLease)
}

/// How long a worker's certificate is good unless told otherwise.
const CERTIFICATES_FOR: Duration = Duration::from_secs(30 * 86_400);

/// How long it may be: workers ask for others that often, and none is good for longer than its worker is likely looked after.
const CERTIFICATES: RangeInclusive<Duration> = Duration::from_secs(10)..=Duration::from_secs(366 * 86_400);

/// A text that is no life of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a certificate is good for 10s to 1y")]
struct NoLife;

fn certificates(text: &str) -> Result<Duration, NoLife> {
    humantime::parse_duration(text).ok().filter(|life| CERTIFICATES.contains(life)).ok_or(NoLife)
}

/// A worker to run.
#[derive(Debug)]
pub struct WorkerArgs {
    /// Coordinator to join.
    pub join: String,
    /// A token, if it was typed.
    pub token: Option<String>,
    /// Where the worker keeps what it needs.
    pub data: PathBuf,
    /// Name shown in listings.
    pub name: String,
    /// What it may run, and how much at once.
    pub capacity: CapacityArgs,
    /// Memory for queries that travel through it.
    pub query_memory: Option<ByteSize>,
}

/// Flags of `worker`. They stand beside a subcommand that needs none of them, so none is there for certain.
#[derive(Debug, Args)]
pub struct WorkerFlags {
    /// Coordinator to join
    #[arg(long, value_name = "HOST:PORT", required = true)]
    join: Option<String>,
    /// Token to join a coordinator of another machine with, once; others of this machine can see it: prefer --token-file
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// Where the worker keeps what it needs
    #[arg(long, value_name = "DIR", default_value_os_t = data_dir().join("worker"))]
    data: PathBuf,
    /// Name shown in listings; the host's unless set
    #[arg(long, value_name = "NAME", default_value_t = host_name())]
    name: String,
    /// Memory for queries, parts and answers that travel through it, at least 64m; an eighth of the machine's, at least 256m, unless set
    #[arg(long, value_name = "SIZE", value_parser = query_memory)]
    query_memory: Option<ByteSize>,
    #[command(flatten)]
    capacity: CapacityArgs,
}

impl WorkerFlags {
    /// The worker to run, if a coordinator is named.
    pub fn worker(self) -> Option<WorkerArgs> {
        let Self { join, token, data, name, query_memory, capacity } = self;
        Some(WorkerArgs { join: join?, token, data, name, capacity, query_memory })
    }
}

/// What a worker may run, and how much at once.
#[derive(Debug, Clone, Args)]
pub struct CapacityArgs {
    /// Attempts to run at once; one for each core unless set
    #[arg(long, value_name = "N", default_value_t = cores())]
    pub slots: NonZeroU32,
    /// CPUs for all of its work together, such as 7.5; the machine's unless set
    #[arg(long, value_name = "N")]
    pub cpus: Option<MilliCpus>,
    /// Memory for all of its work together, such as 12g; the machine's unless set
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<ByteSize>,
    /// Resource that work may take, and how many there are, such as gpu=2; may be repeated
    #[arg(long, value_name = "NAME=N")]
    pub resource: Vec<Resource>,
    /// Label for the constraints of work, such as disk=ssd or gpu; may be repeated. A worker that has joined has its token's
    #[arg(long, value_name = "NAME[=VALUE]", value_parser = resource::label)]
    pub label: Vec<(String, String)>,
    /// How containers are run
    #[arg(long, value_enum, default_value_t)]
    pub runtime: Runtime,
    /// Network that containers may ask for; may be repeated
    #[arg(long, value_name = "NET")]
    pub allow_network: Vec<String>,
    /// Let specifications run containers as root
    #[arg(long)]
    pub allow_root: bool,
    /// Directory of the Docker configuration (config.json) whose credentials are shown to registries; the user's own unless set
    #[arg(long, value_name = "DIR")]
    pub registry_config: Option<PathBuf>,
    /// Let every namespace run images from registries that are on the engine already, without asking their registry
    #[arg(long)]
    pub trust_local_images: bool,
    /// With --runtime process as root: let every command of every job run as root of this machine
    #[arg(long)]
    pub allow_commands_as_root: bool,
    #[command(flatten)]
    pub ceilings: CeilingArgs,
}

/// The most that specifications may ask of a worker. Whoever asks for more is refused, and told which flag allows it.
#[derive(Debug, Clone, Copy, Default, Args)]
#[command(next_help_heading = "Bounds")]
pub struct CeilingArgs {
    /// Most memory a container may ask for; the machine's unless set
    #[arg(long, value_name = "SIZE")]
    pub max_memory: Option<ByteSize>,
    /// Most CPUs a container may ask for; the machine's unless set
    #[arg(long, value_name = "N")]
    pub max_cpus: Option<MilliCpus>,
    /// Most processes and threads a container may ask for; 32768 unless set
    #[arg(long, value_name = "N")]
    pub max_pids: Option<Count<{ u32::MAX }>>,
    /// Most temporary space a container may ask for; as much as it asks for unless set
    #[arg(long, value_name = "SIZE")]
    pub max_tmp_size: Option<ByteSize>,
    /// Largest /dev/shm a container may ask for; any, as it is part of its memory, unless set
    #[arg(long, value_name = "SIZE")]
    pub max_shm_size: Option<ByteSize>,
    /// Most bytes of outputs an attempt may ask for; as many as it asks for unless set
    #[arg(long, value_name = "SIZE")]
    pub max_total_output: Option<ByteSize>,
}

/// The host's name.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn cores() -> NonZeroU32 {
    let cores = thread::available_parallelism().ok();
    cores.and_then(|cores| cores.try_into().ok()).unwrap_or(NonZeroU32::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_has_bounds_and_is_what_the_help_says() {
        assert_eq!(lease("10s"), Ok(LEASE));
        for good in ["1s", "1500ms", "10m"] {
            assert!(lease(good).is_ok(), "{good}");
        }
        for bad in ["", "0s", "999ms", "601s", "10", "-1s", "1000000000000000000y"] {
            assert!(lease(bad).is_err(), "{bad}");
        }
    }
}
