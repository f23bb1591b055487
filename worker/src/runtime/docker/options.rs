//! How this worker uses its engine.

use std::{path::PathBuf, time::Duration};

use uuid::Uuid;

/// How this worker uses its engine.
#[derive(Debug, Clone)]
pub struct DockerOptions {
    /// Who we are: containers carry it as a label, and only those that do are ever touched.
    pub worker: Uuid,
    /// Where to keep the shim's file. The engine must see the same path.
    pub shim_directory: PathBuf,
    /// The engine's socket, a path or `unix://` and a path; `None` looks at `DOCKER_HOST` and the usual places.
    pub host: Option<String>,
    /// Networks that specifications may name, besides "none".
    pub networks: Vec<String>,
    /// Whether specifications may name root as the user.
    pub allow_root: bool,
    /// Docker's configuration, with what is shown to registries; `None` is that of this process's user.
    pub registry_config: Option<PathBuf>,
    /// Where to remember whose the images are that were pulled here; `None` remembers until the end of this process.
    pub pulled: Option<PathBuf>,
    /// Whether images that this worker has not pulled are for every namespace.
    pub trust_local_images: bool,
    /// Longest pull of an image.
    pub pull_timeout: Duration,
    /// Longest time between a container's start and its shim's hello.
    pub hello_timeout: Duration,
    /// How many containers are started at a time. A start is work for processors, so more than keep these busy only make each slower.
    pub concurrent_starts: usize,
    /// Most files a process may have open.
    pub open_files: u32,
}

impl DockerOptions {
    /// The defaults: nothing is allowed that could be forbidden.
    #[must_use]
    pub fn new(worker: Uuid, shim_directory: PathBuf) -> Self {
        Self {
            worker,
            shim_directory,
            host: None,
            networks: Vec::new(),
            allow_root: false,
            registry_config: None,
            pulled: None,
            trust_local_images: false,
            pull_timeout: Duration::from_secs(300),
            hello_timeout: Duration::from_secs(30),
            concurrent_starts: starts_at_once(),
            open_files: 4096,
        }
    }
}

/// Two for each processor, as a start also waits: for the disk, and for its turn at the engine's locks.
fn starts_at_once() -> usize {
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    (2 * processors).clamp(4, 32)
}
