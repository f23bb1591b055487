//! What starts sandboxes: the trait, and the words its implementations share.
//!
//! A sandbox is a started container (or, for the `process` runtime, a plain child) whose process 1 is our shim. It has
//! four directories: inputs (read-only inside), outputs (writable), data (read-only, optional) and scratch (private,
//! emptied between runs). Nothing of the host is ever opened through a path that the inside can change.

pub mod docker;
mod layout;
pub mod process;
mod shim_link;

use std::{os::fd::OwnedFd, path::PathBuf, sync::Arc};

use futures_util::future::BoxFuture;
use longshore_proto::v1::Container;
use longshore_shim::{FromShim, ToShim};

/// A way to start sandboxes.
pub trait Runtime: Send + Sync + 'static {
    /// "docker" or "process".
    fn name(&self) -> &'static str;

    /// Finds the image, pulling it if it is not here, and reads what it says of itself. Concurrent calls for one
    /// reference share the work.
    fn resolve<'a>(&'a self, reference: &'a str) -> BoxFuture<'a, Result<Image, ImageError>>;

    /// Starts a sandbox and waits until its shim has said hello.
    fn start<'a>(&'a self, spec: &'a SandboxSpec) -> BoxFuture<'a, Result<Sandbox, StartError>>;

    /// Removes every sandbox this worker (by its id) left behind in an earlier life; answers how many.
    fn sweep(&self) -> BoxFuture<'_, Result<usize, RuntimeError>>;

    /// Waits until what is left of starts that were given up is gone. For the end, when nothing is started any more.
    fn settle(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

/// An image that is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The reference it was asked for by.
    pub reference: String,
    /// The engine's id of exactly these bytes.
    pub id: String,
    /// Its ENTRYPOINT.
    pub entrypoint: Vec<String>,
    /// Its CMD.
    pub command: Vec<String>,
    /// Whether it names a USER.
    pub names_user: bool,
}

impl Image {
    /// The full command line of a container, by Docker's rules: the entry point (the container's own, or the image's),
    /// then the arguments (the container's own; the image's CMD only when neither was given).
    #[must_use]
    pub fn argv(&self, container: &Container) -> Vec<String> {
        let own_entrypoint = !container.entrypoint.is_empty();
        let entrypoint = if own_entrypoint { &container.entrypoint } else { &self.entrypoint };
        let arguments =
            if !container.command.is_empty() || own_entrypoint { &container.command } else { &self.command };
        entrypoint.iter().chain(arguments).cloned().collect()
    }
}

/// What a sandbox shall be.
#[derive(Debug, Clone)]
pub struct SandboxSpec {
    /// What it is for; part of the container's name and a label: "slot", "leaf", "merge".
    pub role: &'static str,
    /// For people, a label: the job's or service's name.
    pub owner: String,
    /// For people, a label: whose that is; empty for the namespace that nobody names.
    pub namespace: Arc<str>,
    /// The image, resolved.
    pub image: Image,
    /// Environment, user, network and limits.
    pub container: Container,
    /// An existing, empty directory of ours, mode 0700, on the file system where blobs are kept. The runtime makes
    /// `in` and `out` (mode 0777) and whatever else it needs in it. Removing it is the caller's part.
    pub dir: PathBuf,
    /// Directory to show read-only as the data.
    pub data: Option<PathBuf>,
    /// Largest file the inside may write, in bytes (RLIMIT_FSIZE).
    pub max_output_bytes: u64,
}

/// A started sandbox.
pub struct Sandbox {
    /// The conversation with the shim.
    pub shim: Box<dyn Shim>,
    /// The sandbox's paths.
    pub paths: Paths,
    /// Its life.
    pub control: Box<dyn Control>,
}

/// Where the sandbox's directories are, outside and inside.
#[derive(Debug, Clone)]
pub struct Paths {
    /// Inputs, outside.
    pub host_in: PathBuf,
    /// Outputs, outside: never to be walked by path, only through a descriptor opened before anything ran.
    pub host_out: PathBuf,
    /// Inputs, as the inside sees them.
    pub inside_in: String,
    /// Outputs, as the inside sees them.
    pub inside_out: String,
    /// Data, as the inside sees it.
    pub inside_data: Option<String>,
    /// Where a server inside is asked to put its unix socket.
    pub inside_socket: String,
    /// A scratch directory, for TMPDIR and HOME.
    pub inside_scratch: String,
}

/// The conversation with one shim. Frames arrive in the order they were sent.
pub trait Shim: Send + Sync {
    /// Sends a frame, with the file of a run's standard output; waits while the socket is full.
    fn send_with<'a>(&'a self, frame: &'a ToShim, attached: Option<&'a OwnedFd>)
    -> BoxFuture<'a, Result<(), ShimLost>>;

    /// Sends a frame without a file.
    fn send<'a>(&'a self, frame: &'a ToShim) -> BoxFuture<'a, Result<(), ShimLost>> {
        self.send_with(frame, None)
    }

    /// The next frame, with the descriptor it carried. One caller at a time.
    fn receive(&self) -> BoxFuture<'_, Result<(FromShim, Option<OwnedFd>), ShimLost>>;
}

/// The life of one sandbox.
pub trait Control: Send + Sync {
    /// The container's id, for logs.
    fn id(&self) -> &str;

    /// Ends everything inside and removes the sandbox. Calling it twice is harmless.
    fn remove(&self) -> BoxFuture<'_, Result<(), RuntimeError>>;

    /// After [`ShimLost`]: how the sandbox ended, as far as the engine knows.
    fn post_mortem(&self) -> BoxFuture<'_, PostMortem>;
}

/// How a sandbox ended that ended by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PostMortem {
    /// Its memory limit was met.
    pub out_of_memory: bool,
    /// Exit code of process 1.
    pub exit_code: Option<i64>,
    /// The engine's words.
    pub message: String,
}

/// The shim no longer answers: its sandbox has ended or was killed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the shim's connection has ended: {reason}")]
pub struct ShimLost {
    /// What was seen.
    pub reason: String,
}

/// Why an image cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ImageError {
    /// Nothing of that name here, and pulling it failed.
    #[error("image {reference} is not on this engine and cannot be pulled: {cause}")]
    NotFound {
        /// The reference.
        reference: String,
        /// The engine's words.
        cause: String,
    },
    /// The engine cannot be asked.
    #[error("image {reference} cannot be looked up: {cause}")]
    Engine {
        /// The reference.
        reference: String,
        /// The engine's words.
        cause: String,
    },
}

/// Why a sandbox cannot be started.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StartError {
    /// The specification asks for what this runtime or its operator does not allow, or what the engine refuses.
    #[error("{0}")]
    Refused(String),
    /// The engine failed; trying again may help.
    #[error("{0}")]
    Engine(String),
}

/// The runtime's own trouble.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{doing}: {cause}")]
pub struct RuntimeError {
    /// What was being done, and to what.
    pub doing: String,
    /// The engine's words.
    pub cause: String,
}
