//! From a data directory to a coordinator that serves.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use longshore_authority::{Authority, KeysError, PublicCertificate};
use longshore_core::{Core, Settings, WorkerId};
use longshore_local::{PrivateDir, PrivateDirError};
use longshore_proto::v1::ReplicaId;
use longshore_root::{Limits, Memory, Transport};
use longshore_store::{Batch, CommitError, Committer, Epoch, Op, Options, Reader, SledStore, Store};
use longshore_trust::system_clock;
use tokio::net::TcpListener;

use crate::{
    api::{
        admission::Admission,
        blobs::{Blobs, Downloads},
        jobs::Jobs,
        members::Members,
        secrets::Secrets,
        services::Services,
        tokens::Tokens,
    },
    audit::{Audit, AuditError},
    diary::Diary,
    drive::{self, Clock, Handle, Surroundings, deployed::Deployed},
    kept::{
        catalog::Catalog,
        cluster, directory,
        error::LoadError,
        format, inventory, keys, records,
        rooms::{self, RoomError, Rooms},
    },
    limits,
    members::register::Register,
    net::{
        door::Door,
        gate::Hosts,
        grpc::{BlobsService, MembersService, SecretsService},
        secure::Secure,
        server::{self, Entrances, Local, ServeError, Served},
    },
    replica::Engine,
    room::DiskRoom,
    secrets::vault::Vault,
    workers::{orders::Terms, recent_failures::RecentFailures, session::Agents, sessions::Sessions, tunnels::Tunnels},
};

/// What a coordinator is told at its start.
#[derive(Debug, Clone)]
pub struct Config {
    /// Directory of its store and blobs; made if it is not there.
    pub dir: PathBuf,
    /// Terms for everyone.
    pub settings: Settings,
    /// How the store is opened.
    pub store: Options,
    /// Whether to go on without what is provably lost of the store or the blobs.
    pub accept_data_loss: bool,
    /// Directory of the key of the cluster's authority; made if it is not there.
    pub keys: PathBuf,
    /// Directory of the audit; made if it is not there.
    pub audit: PathBuf,
    /// How long the certificates of members are good. Renewed at a third to two thirds of that.
    pub certificates_for: Duration,
    /// Whether to make a new authority where the key that workers of other machines trust is lost.
    pub new_authority: bool,
    /// Bytes of memory for bodies, parts and answers of queries together; a share of the machine's unless set.
    pub query_memory: Option<u64>,
}

impl Config {
    /// Defaults for a directory, one for keys, and one for the audit: not below the first, so that a copy of the data has no key
    /// in it, and that what a restored copy brings back is not the history.
    pub fn new(dir: impl Into<PathBuf>, keys: impl Into<PathBuf>, audit: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            settings: Settings::default(),
            store: Options::default(),
            accept_data_loss: false,
            keys: keys.into(),
            audit: audit.into(),
            new_authority: false,
            certificates_for: limits::CERTIFICATES_FOR,
            query_memory: None,
        }
    }
}

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory cannot be made, or is somebody else's.
    #[error("the data directory cannot be used")]
    Directory(#[from] PrivateDirError),
    /// The store cannot be opened.
    #[error("cannot open the store")]
    Store(#[from] longshore_store::OpenError),
    /// The store is gone, and so is all that says what the blobs beside it are for.
    #[error("the store {} is missing beside blobs: what they belong to is lost", store.display())]
    NoStore {
        /// Where it was.
        store: PathBuf,
    },
    /// The blobs of a namespace cannot be opened.
    #[error(transparent)]
    Blobs(#[from] RoomError),
    /// It cannot be noted what the blobs hold.
    #[error("cannot make the blobs durable")]
    Sync(#[source] io::Error),
    /// The records cannot be read.
    #[error("cannot read what was kept")]
    Load(#[from] LoadError),
    /// The cluster's authority cannot be used.
    #[error("the authority of this cluster cannot be used")]
    Keys(#[from] KeysError),
    /// There can be no audit.
    #[error("the audit in {} cannot be written", dir.display())]
    Audit {
        /// Its directory.
        dir: PathBuf,
        /// Why.
        source: AuditError,
    },
    /// The epoch cannot be kept.
    #[error("cannot begin a new epoch")]
    Epoch(#[from] CommitError),
    /// A thread cannot be started.
    #[error("cannot start the committer")]
    Thread(#[source] io::Error),
}

impl OpenError {
    /// Whether the directory can be opened with [`Config::accept_data_loss`].
    #[must_use]
    pub fn is_loss(&self) -> bool {
        use longshore_store::OpenError as Store;
        match self {
            Self::NoStore { .. } | Self::Blobs(RoomError { source: longshore_blobs::OpenError::Lost { .. }, .. }) => {
                true
            }
            Self::Store(error) => {
                matches!(error, Store::RolledBack { .. } | Store::Diverged { .. } | Store::NoHighWater { .. })
            }
            _ => false,
        }
    }
}

/// Where a coordinator is reached.
pub struct Listening {
    /// On this machine; at least one. Everybody needs the token of the entrance, which is for its own user and root.
    pub local: Vec<Local>,
    /// From other machines, by TLS.
    pub secure: Vec<TcpListener>,
    /// By which names it is called from there, beside its addresses.
    pub hostnames: Vec<String>,
    /// For browsers.
    pub public: Option<PublicCertificate>,
}

/// A coordinator that knows what it kept and is ready to serve.
pub struct Coordinator {
    driver: Handle,
    catalog: Arc<Catalog>,
    deployed: Arc<Deployed>,
    sessions: Arc<Sessions>,
    tunnels: Arc<Tunnels>,
    epoch: u64,
    lease_ms: u32,
    room: DiskRoom,
    authority: Arc<Authority>,
    certificates_for: Duration,
    register: Arc<Register>,
    vault: Arc<Vault>,
    diary: Arc<Diary>,
    audit: Arc<Audit>,
    memory: Arc<Memory>,
}

impl Coordinator {
    /// Opens a data directory, begins a new epoch, and starts the driver. Call it inside a multi-threaded runtime.
    ///
    /// # Errors
    /// When the directory is in use by another coordinator, damaged, or cannot be written.
    pub fn open(config: &Config) -> Result<Self, OpenError> {
        let private = PrivateDir::open(&config.dir, |name| {
            ["store", rooms::DEFAULT, rooms::OTHERS, format::FILE].contains(&name)
        })?;
        // From here on without links, which somebody could turn.
        let dir = private.path();
        if let Some(mode) = private.mended() {
            tracing::warn!(dir = %dir.display(), "others could look into the data directory (mode {mode:o}): closed to them");
        }
        directory::claim(dir, &dir.join("store"))?;
        let (mut store, at_least) = open_store(dir, config)?;
        let reader = store.reader();
        directory::check(dir, &*reader)?;
        // At once: that the store has lost something is not seen again once it has been opened.
        let epoch = begin_epoch(&mut store, at_least)?;
        let authority = open_authority(&mut store, epoch, config)?;
        let audit =
            Audit::open(&config.audit).map_err(|source| OpenError::Audit { dir: config.audit.clone(), source })?;
        let opened = Rooms::open(dir, &inventory::load(&*reader)?, config.accept_data_loss)?;
        let rooms = opened.rooms;
        keep_inventory(&mut store, epoch, opened.gone.iter().map(inventory::delete).collect(), &rooms)?;
        let clock = Clock::start();
        let core = load(epoch.0, config.settings, clock, &*reader)?;
        let committer = start_committer(store, epoch, rooms.clone()).map_err(OpenError::Thread)?;
        let catalog = Arc::new(Catalog::new(reader, rooms));
        let deployed = Arc::new(Deployed::new(Arc::clone(&catalog)));
        let sessions = Arc::new(Sessions::default());
        let register = Arc::new(Register::default());
        let tunnels = Arc::new(Tunnels::default());
        let vault = Arc::new(Vault::open(&config.keys));
        let diary = Arc::new(Diary::default());
        let around = Surroundings {
            committer,
            sessions: Arc::clone(&sessions),
            deployed: Arc::clone(&deployed),
            register: Arc::clone(&register),
            vault: Arc::clone(&vault),
            tunnels: Arc::clone(&tunnels),
            diary: Arc::clone(&diary),
        };
        let driver = drive::start(core, clock, around);
        Ok(Self {
            driver,
            catalog,
            deployed,
            sessions,
            tunnels,
            epoch: epoch.0,
            lease_ms: u32::try_from(config.settings.lease_ms).unwrap_or(u32::MAX),
            room: DiskRoom::of(dir),
            authority: Arc::new(authority),
            certificates_for: config.certificates_for,
            register,
            vault,
            diary,
            audit: Arc::new(audit),
            memory: Memory::new(config.query_memory.unwrap_or_else(query_memory)),
        })
    }

    /// The run's number: it rises at each start.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The authority of the cluster.
    #[must_use]
    pub fn authority(&self) -> &Arc<Authority> {
        &self.authority
    }

    /// For a worker of this process (its 16 bytes): what it hands over are its replicas, which are then called directly and
    /// not over a stream. There is one such worker at most.
    pub fn nearby(&self, worker: [u8; 16]) -> Box<dyn FnOnce(Arc<dyn Transport<ReplicaId>>) + Send> {
        let tunnels = Arc::clone(&self.tunnels);
        Box::new(move |replicas| tunnels.set_nearby(WorkerId(worker), replicas))
    }

    /// Serves until `stop` is done, then makes everything durable that was taken in.
    ///
    /// # Errors
    /// When a listener cannot be used, or one without TLS is not on loopback.
    pub async fn serve(self, listening: Listening, stop: impl Future<Output = ()> + Send) -> Result<(), ServeError> {
        let Listening { local, secure, hostnames, public } = listening;
        let first = local.first().ok_or(ServeError::NoEntrance)?;
        let door = Door::open(first.entrance.door(), self.catalog.rooms(), self.room.clone()).map(Arc::new);
        let router = self.served(door.clone()).routes()?;
        let listened = secure.iter().filter_map(|listener| Some(listener.local_addr().ok()?.ip()));
        let hosts = Hosts::new(self.authority.cluster(), listened, &hostnames);
        let tls = longshore_authority::server(Arc::clone(&self.authority), public)?;
        let secure = secure.into_iter().map(|listener| Secure::new(listener, Arc::clone(&tls))).collect();
        let register = Arc::clone(&self.register);
        let audit = Arc::clone(&self.audit);
        let served = server::serve(Entrances { local, secure, hosts, door, register, audit }, router, stop).await;
        self.tunnels.close();
        self.sessions.close();
        self.driver.stop().await;
        served
    }

    fn served(&self, door: Option<Arc<Door>>) -> Served {
        let failures = Arc::new(RecentFailures::default());
        let transport: Arc<Tunnels> = Arc::clone(&self.tunnels);
        Served {
            jobs: Jobs {
                driver: self.driver.clone(),
                catalog: Arc::clone(&self.catalog),
                failures: Arc::clone(&failures),
                diary: Arc::clone(&self.diary),
                audit: Arc::clone(&self.audit),
                room: self.room.clone(),
                vault: Arc::clone(&self.vault),
                sessions: Arc::clone(&self.sessions),
            },
            blobs: BlobsService {
                blobs: Blobs {
                    rooms: self.catalog.rooms().clone(),
                    room: self.room.clone(),
                    downloads: Downloads::new(limits::DOWNLOADS),
                },
                door,
                sessions: Arc::clone(&self.sessions),
            },
            services: Services {
                driver: self.driver.clone(),
                catalog: Arc::clone(&self.catalog),
                deployed: Arc::clone(&self.deployed),
                engine: Arc::new(Engine::new(transport, Limits::default())),
                queries: Admission::new(),
                memory: Arc::clone(&self.memory),
                audit: Arc::clone(&self.audit),
                room: self.room.clone(),
                vault: Arc::clone(&self.vault),
            },
            agents: Agents {
                driver: self.driver.clone(),
                catalog: Arc::clone(&self.catalog),
                deployed: Arc::clone(&self.deployed),
                sessions: Arc::clone(&self.sessions),
                tunnels: Arc::clone(&self.tunnels),
                failures,
                diary: Arc::clone(&self.diary),
                register: Arc::clone(&self.register),
                vault: Arc::clone(&self.vault),
                terms: Arc::new(self.terms()),
            },
            secrets: SecretsService(Secrets {
                driver: self.driver.clone(),
                vault: Arc::clone(&self.vault),
                audit: Arc::clone(&self.audit),
                room: self.room.clone(),
            }),
            members: MembersService {
                members: Members {
                    driver: self.driver.clone(),
                    register: Arc::clone(&self.register),
                    audit: Arc::clone(&self.audit),
                    authority: Arc::clone(&self.authority),
                    sessions: Arc::clone(&self.sessions),
                    certificates_for: self.certificates_for,
                },
                tokens: Tokens {
                    driver: self.driver.clone(),
                    register: Arc::clone(&self.register),
                    audit: Arc::clone(&self.audit),
                    authority: Arc::clone(&self.authority),
                },
            },
        }
    }
}

impl Coordinator {
    fn terms(&self) -> Terms {
        let roots = self.authority.roots().certificates();
        Terms {
            epoch: self.epoch,
            lease_ms: self.lease_ms,
            roots: roots.iter().map(|root| Bytes::copy_from_slice(root)).collect(),
            cluster: self.authority.cluster().to_string(),
        }
    }
}

/// The share of the machine's memory that queries have where nobody says how much.
fn query_memory() -> u64 {
    let machine = rustix::system::sysinfo();
    let memory = machine.totalram.saturating_mul(machine.mem_unit.into());
    (memory / limits::QUERY_MEMORY_SHARE).max(limits::LEAST_QUERY_MEMORY)
}

/// The core as it was kept.
fn load(epoch: u64, settings: Settings, clock: Clock, reader: &dyn Reader) -> Result<Core, LoadError> {
    let mut failed = None;
    let records = records::load(reader).map_while(|record| record.map_err(|error| failed = Some(error)).ok());
    let core = Core::load(epoch, settings, clock.now(), records);
    failed.map_or(Ok(core), Err)
}

/// The store, and the least that the next epoch may be: a store that lost its newest part may have lost epochs that
/// workers still hold attempts of. No epoch lasts less than a second, so none is beyond the seconds of the clock.
fn open_store(dir: &Path, config: &Config) -> Result<(SledStore, Epoch), OpenError> {
    let (data, dir) = (dir, dir.join("store"));
    let gone = !SledStore::is_in(&dir) && Rooms::is_anything_in(data)?;
    if gone && !config.accept_data_loss {
        return Err(OpenError::NoStore { store: dir });
    }
    if gone {
        tracing::error!(store = %dir.display(), "accepted as lost: the store, and with it all jobs and services");
    }
    let options = Options { accept_data_loss: config.accept_data_loss, ..config.store.clone() };
    let (store, opened) = SledStore::open(&dir, &options)?;
    let lost = gone || opened.loss_accepted;
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    Ok((store, if lost { Epoch(seconds) } else { Epoch::default() }))
}

/// The authority whose key workers and tokens of other machines trust, or a new one where nobody does yet. What is kept of it
/// is durable before anybody is told.
fn open_authority(store: &mut impl Store, epoch: Epoch, config: &Config) -> Result<Authority, OpenError> {
    let kept = cluster::load(&*store.reader())?;
    let opened = longshore_authority::open(&config.keys, kept, config.new_authority, system_clock())?;
    let authority = opened.authority;
    if opened.replaces {
        tracing::warn!(
            pin = authority.pin().short(),
            "there is a new authority: tokens and members of the old one are forgotten, and every worker of another machine has to join again"
        );
    }
    if kept.is_none_or(|kept| kept.pin != authority.pin()) {
        let mut batch = Batch::new();
        if opened.replaces {
            // Else they would be good still, also where no certificate is looked at.
            cluster::forget_trusting(&*store.reader(), &mut batch).map_err(LoadError::from)?;
        }
        cluster::put(&mut batch, authority.cluster(), authority.pin());
        store.commit(epoch, &batch)?;
    }
    Ok(authority)
}

/// Notes what the blobs hold and hold no more, before anything that refers to them is kept.
fn keep_inventory(store: &mut impl Store, epoch: Epoch, mut ops: Vec<Op>, rooms: &Rooms) -> Result<(), OpenError> {
    loop {
        let held = rooms.checkpoint().map_err(OpenError::Sync)?;
        ops.extend(held.iter().map(inventory::put));
        if ops.is_empty() {
            return Ok(());
        }
        for ops in ops.chunks(longshore_blobs::MAX_CHECKPOINT) {
            store.commit(epoch, &Batch { ops: ops.to_vec() })?;
        }
        ops.clear();
    }
}

/// Blobs that records name become durable before the records, and that they must be there with them.
fn start_committer(store: impl Store, epoch: Epoch, rooms: Rooms) -> io::Result<Committer> {
    let before = move || Ok(rooms.checkpoint()?.iter().map(inventory::put).collect());
    Committer::start(store, epoch, Some(Box::new(before)))
}

/// The next epoch, durable before anything is served under it.
fn begin_epoch(store: &mut impl Store, at_least: Epoch) -> Result<Epoch, OpenError> {
    let epoch = store.begin_epoch(at_least)?;
    let mut batch = Batch::new();
    batch.put(keys::FORMAT_KEY, format::FORMAT.to_be_bytes());
    store.commit(epoch, &batch)?;
    Ok(epoch)
}

#[cfg(test)]
mod formats;
#[cfg(test)]
mod namespaces;
