//! What kind of engine this is: for `doctor`, and for what we ask of it.

use bollard::models::{SystemInfo, SystemVersion};

use super::{
    engine::{Engine, EngineError, LOOK},
    identity::Mapping,
    limits::{self, Limit},
};

/// How an engine names the kind of its store where containerd has the images.
const CONTAINERD: &str = "io.containerd.snapshotter";

/// Facts about an engine. What it does not tell is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineInfo {
    /// Where it listens.
    pub socket: String,
    /// Whose engine it is: "Docker Engine" or "Podman".
    pub product: String,
    /// Version of the engine, such as "20.10.24".
    pub version: String,
    /// Version of its interface that we agreed on, such as "1.41".
    pub api_version: String,
    /// 1 or 2; 0 when it does not tell.
    pub cgroup_version: u8,
    /// How it stores images, such as "overlay2".
    pub storage_driver: String,
    /// The machine, as the kernel calls it, such as "x86_64".
    pub architecture: String,
    /// The kernel's version.
    pub kernel: String,
    /// Version of runc, such as "1.1.5".
    pub runc: String,
    /// Where it can leave containers' logs, such as "local".
    pub log_drivers: Vec<String>,
    /// What it cannot bound, in the order of [`Limit`].
    pub unenforced: Vec<Limit>,
    /// It runs without root's rights.
    pub rootless: bool,
    /// It maps users into a range of their own (`userns-remap`).
    pub remaps_users: bool,
    /// The user outside that is 0 inside, where it maps them; as its own directory is called.
    pub users_from: u32,
    /// It filters system calls.
    pub seccomp: bool,
    /// An image here that has a repository digest was pulled or pushed. Other engines (Docker's containerd store, Podman) give
    /// one to those that were made here too.
    pub digests_tell: bool,
    /// It asks a registry about an image without pulling it; Podman does not.
    pub asks_registries: bool,
    /// What it complains of itself.
    pub warnings: Vec<String>,
}

impl EngineInfo {
    /// Asks an engine that has told its version.
    pub(super) async fn ask(engine: &Engine, version: SystemVersion) -> Result<Self, EngineError> {
        let info = engine.within(LOOK, engine.docker().info()).await?;
        Ok(Self::read(engine, version, info))
    }

    fn read(engine: &Engine, version: SystemVersion, info: SystemInfo) -> Self {
        let security = info.security_options.as_deref().unwrap_or_default();
        let by_containerd = info.driver_status.iter().flatten().flatten().any(|word| word.starts_with(CONTAINERD));
        let is_podman = is_podman(&version);
        let has = |name: &str| security.iter().any(|option| option.split(',').any(|part| part == name));
        let rootless = has("name=rootless");
        let cgroup_version =
            info.cgroup_version.as_ref().and_then(|text| text.to_string().parse().ok()).unwrap_or_default();
        Self {
            socket: engine.socket().into(),
            product: (if is_podman { PODMAN } else { DOCKER }).into(),
            unenforced: limits::unenforced(&info, rootless, cgroup_version),
            log_drivers: info.plugins.and_then(|plugins| plugins.log).unwrap_or_default(),
            runc: runc_version(&version),
            version: version.version.unwrap_or_default(),
            api_version: engine.api_version().map(|version| version.to_string()).unwrap_or_default(),
            cgroup_version,
            storage_driver: info.driver.unwrap_or_default(),
            architecture: info.architecture.unwrap_or_default(),
            kernel: info.kernel_version.unwrap_or_default(),
            rootless,
            remaps_users: has("name=userns"),
            users_from: info.docker_root_dir.as_deref().map_or(0, users_from),
            seccomp: has("name=seccomp"),
            digests_tell: !by_containerd && !is_podman,
            asks_registries: !is_podman,
            warnings: info.warnings.unwrap_or_default(),
        }
    }

    /// Whether it is Podman, which gives containers some places more than we ask for.
    pub(super) fn is_podman(&self) -> bool {
        self.product == PODMAN
    }

    /// Which engine this is, and where.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} {} at {}", self.product, self.version, self.socket)
    }

    /// What people should know of how it runs containers, where a trial found these limits without effect.
    #[must_use]
    pub fn notes(&self, unkept: &[Limit]) -> Vec<String> {
        let mut notes = Vec::new();
        if self.rootless {
            notes.push("rootless".to_owned());
        }
        if self.remaps_users {
            notes.push("userns-remap".to_owned());
        }
        let mut unbounded: Vec<_> = self.unenforced.iter().chain(unkept).copied().collect();
        unbounded.sort_unstable();
        unbounded.dedup();
        if !unbounded.is_empty() {
            notes.push(format!("no bound on {}", limits::list(&unbounded)));
        }
        if !self.seccomp {
            notes.push("system calls not filtered by the engine".to_owned());
        }
        notes
    }

    /// Whether it bounds this.
    pub(super) fn enforces(&self, limit: Limit) -> bool {
        !self.unenforced.contains(&limit)
    }

    pub(super) fn mapping(&self) -> Mapping {
        match (self.rootless, self.remaps_users) {
            (true, _) => Mapping::Rootless,
            (false, true) => Mapping::Remapped(self.users_from),
            (false, false) => Mapping::Same,
        }
    }
}

/// An engine that maps users keeps its things in `…/100000.100000`.
fn users_from(directory: &str) -> u32 {
    let name = directory.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    name.split_once('.').and_then(|(uid, _gid)| uid.parse().ok()).unwrap_or_default()
}

const DOCKER: &str = "Docker Engine";
const PODMAN: &str = "Podman";

fn is_podman(version: &SystemVersion) -> bool {
    version.components.iter().flatten().any(|part| part.name.contains(PODMAN))
}

/// Docker says "1.1.5", Podman "runc version 1.1.5+ds1" and more on further lines.
fn runc_version(version: &SystemVersion) -> String {
    let mut components = version.components.iter().flatten();
    let runc = components.find(|part| part.name.contains("runc"));
    let words = runc.map(|part| part.version.lines().next().unwrap_or_default()).unwrap_or_default();
    words.rsplit(' ').next().unwrap_or_default().to_owned()
}
