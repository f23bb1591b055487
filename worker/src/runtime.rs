//! What starts sandboxes: the trait, and the words its implementations share.
//!
//! A sandbox is a started container (or, for the `process` runtime, a plain child) whose process 1 is our shim. It has
//! five directories: inputs (read-only inside), outputs (writable), data and files (read-only, optional) and scratch
//! (private, like all temporary places, which are emptied between runs). Nothing of the host is ever opened through a path
//! that the inside can change.

pub mod docker;
mod image;
mod layout;
pub mod process;
mod shim_link;
pub mod users;

use std::{
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
};

use futures_util::future::BoxFuture;
use longshore_proto::v1::Container;
use longshore_shim::{FromShim, ToShim};
use rustix::process::Pid;

pub use self::image::{Credentials, Image, ImageDigest, ImageError, ImageRequest, PullSecret};
use self::users::Users;

/// A way to start sandboxes.
pub trait Runtime: Send + Sync + 'static {
    /// "docker" or "process".
    fn name(&self) -> &'static str;

    /// Finds the image for whoever asks, pulling it if it is not here, and reads what it says of itself. Concurrent calls
    /// for one reference share the work.
    fn resolve<'a>(&'a self, asked: &'a ImageRequest) -> BoxFuture<'a, Result<Image, ImageError>>;

    /// Starts a sandbox and waits until its shim has said hello.
    fn start<'a>(&'a self, spec: &'a SandboxSpec) -> BoxFuture<'a, Result<Sandbox, StartError>>;

    /// Starts a sandbox as all are started, has a program run in it, and removes everything again: whether this runtime can do what
    /// it is there for. Answers what people should know of it, such as bounds that it does not keep. `dir` is the caller's; what is
    /// there is removed, before and after.
    fn probe<'a>(&'a self, dir: &'a Path) -> BoxFuture<'a, Result<Vec<String>, ProbeError>> {
        let _ = dir;
        Box::pin(async { Ok(Vec::new()) })
    }

    /// What of a worker's work is this runtime's to allow.
    fn allows(&self) -> Allows {
        Allows { networks: None, root: true, users: true, workdir: true }
    }

    /// Removes every sandbox this worker (by its id) left behind in an earlier life; answers how many.
    fn sweep(&self) -> BoxFuture<'_, Result<usize, RuntimeError>>;

    /// Waits until what is left of starts that were given up is gone. For the end, when nothing is started any more.
    fn settle(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

/// What a runtime lets work ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allows {
    /// Networks; `None`: any.
    pub networks: Option<Vec<String>>,
    /// To run as root.
    pub root: bool,
    /// To name the user it runs as.
    pub users: bool,
    /// To begin in a directory of its image.
    pub workdir: bool,
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
    /// Environment, user, network, working directory and the bounds it was granted.
    pub container: Container,
    /// An existing directory of ours, mode 0700, empty but for `files`, on the file system where blobs are kept. The runtime makes
    /// `in` and `out` (mode 0711) and whatever else it needs in it. Removing it is the caller's part.
    pub dir: PathBuf,
    /// Directory to show read-only as the data.
    pub data: Option<PathBuf>,
    /// Directory to show read-only as the files that were sent along.
    pub files: Option<PathBuf>,
    /// Largest output, in bytes. RLIMIT_FSIZE is this, or what temporary files may have where that is more.
    pub max_output_bytes: u64,
}

/// A started sandbox.
pub struct Sandbox {
    /// The conversation with the shim.
    pub shim: Box<dyn Shim>,
    /// The sandbox's paths.
    pub paths: Paths,
    /// The directories of its temporary places on the disk, opened before anything ran: what is in them is the inside's.
    pub temporary: Vec<OwnedFd>,
    /// Its first process, by its number outside, where that is known.
    pub first_process: Option<Pid>,
    /// Its life.
    pub control: Box<dyn Control>,
    /// Whom its runs run as. Whoever uses the sandbox keeps this for as long as it is there.
    pub users: Arc<Users>,
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
    /// Files that were sent along, as the inside sees them.
    pub inside_files: Option<String>,
    /// Where a server inside is asked to put its unix socket.
    pub inside_socket: String,
    /// A scratch directory, for TMPDIR and HOME.
    pub inside_scratch: String,
    /// Where the shim puts secrets that are given as files: a directory that is there while a run or server has some.
    pub inside_secrets: String,
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

/// Nothing can run here.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ProbeError {
    /// The engine's fault.
    #[error("{runtime} cannot run a container: {cause}; `longshore doctor` tries it again")]
    Engine {
        /// Which engine, and where it is.
        runtime: String,
        /// What went wrong.
        cause: String,
    },
    /// Our own: nothing is known of the engine.
    #[error("the runtime cannot be tried, as the worker's own directories cannot be used: {0}")]
    Own(String),
}

impl ProbeError {
    /// What went wrong, whosever fault it is.
    #[must_use]
    pub fn cause(&self) -> &str {
        match self {
            Self::Engine { cause, .. } | Self::Own(cause) => cause,
        }
    }
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
