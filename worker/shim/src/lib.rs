//! The frames between a worker and the shim, process 1 of every user container.
//!
//! A frame is one packet on a `SOCK_SEQPACKET` unix socket that the worker listens on and the shim dials, encoded with
//! postcard. The worker decides everything; the shim only runs what it is told and says how it ended. The shim answers
//! [`FromShim::Hello`] first. Runs are carried out one after the other, in the order they came, so the worker may send
//! the next ones ahead and a slot never waits for it.
//!
//! Runs and a server are not mixed: the end of a run, as the end of a server, is the end of every process in the
//! container.
//!
//! This crate's library knows nothing of the rest of the project; the binary beside it is the shim itself.

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

/// Version of these frames. Worker and shim of one build always agree, since the worker carries its shim inside.
pub const VERSION: u16 = 6;

/// Largest frame in bytes: below the default send buffer of a unix socket (212,992 bytes).
pub const MAX_FRAME_BYTES: usize = 192 * 1024;

/// Most bytes kept of one log, whatever [`Run::log_bytes`] asks for: two of them fit into a frame.
pub const MAX_LOG_BYTES: u32 = 64 * 1024;

/// Most further groups of a [`User`].
pub const MAX_GROUPS: usize = 64;

/// Most runs the worker may have sent ahead. One more ends the shim.
pub const MAX_QUEUED_RUNS: usize = 1024;

/// Environment variable with the path of the socket the shim dials.
pub const SOCKET_ENV: &str = "LONGSHORE_SHIM_SOCKET";

/// Environment variable with the directory of inputs, which [`Stdin::File`] is below.
pub const INPUTS_ENV: &str = "LONGSHORE_SHIM_INPUTS";

/// Environment variable with the scratch directories the shim empties between runs, joined by `:`.
pub const SCRATCH_ENV: &str = "LONGSHORE_SHIM_SCRATCH";

/// Environment variable, set to anything where the shim is process 1 of a container of ours alone, with namespaces and
/// counters of its own: what is there besides it is a run's.
pub const CONTAINER_ENV: &str = "LONGSHORE_SHIM_CONTAINER";
/// Environment variable with the directory for secrets that are given as files: below one of the scratch directories, in memory,
/// made for a run and emptied after it with the others.
pub const SECRETS_ENV: &str = "LONGSHORE_SHIM_SECRETS";

/// What the worker says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToShim {
    /// Run a command once. The file of its standard output travels with the packet (`SCM_RIGHTS`), if it is
    /// [`Attached`](Stdout::Attached).
    Run(Run),
    /// End the run with this number: SIGTERM, and SIGKILL after `grace_ms`. A queued one ends at once, before those
    /// ahead of it. A number the shim does not know is that of a run whose end is on its way.
    Stop {
        /// The run.
        seq: u64,
        /// Milliseconds between the two signals.
        grace_ms: u32,
    },
    /// Start the server that stays up (interface `http`). Not while one is up: wait for [`FromShim::ServerEnded`].
    Serve(Serve),
    /// Connect to the server; answered by [`FromShim::Connected`] with the connected socket attached.
    Connect {
        /// Chosen by the worker, repeated in the answer.
        id: u64,
    },
    /// Say who this user is, as `docker run --user` takes it; answered by [`FromShim::User`].
    LookUp {
        /// `name`, `uid`, `name:group` or any mixture.
        user: String,
    },
    /// End everything in the container and exit.
    Exit,
    /// Say whether a run of this program could be started; answered by [`FromShim::Found`].
    Find {
        /// The first word of its command.
        program: String,
        /// What is added to the container's environment, `PATH` among it.
        env: Vec<(String, String)>,
    },
}

/// Who a process runs as. It has no capability then, whoever that is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// User id, inside the container.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Further groups, at most [`MAX_GROUPS`].
    pub groups: Vec<u32>,
}

/// One run of the user's command as a fresh process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The worker's number for it, never used twice on a connection.
    pub seq: u64,
    /// Program and arguments; placeholders already replaced.
    pub argv: Vec<String>,
    /// Added to the container's environment.
    pub env: Vec<(String, String)>,
    /// Where standard input comes from.
    pub stdin: Stdin,
    /// Where standard output goes.
    pub stdout: Stdout,
    /// Longest run in milliseconds; then the run ends like [`ToShim::Stop`].
    pub timeout_ms: Option<u64>,
    /// Milliseconds between SIGTERM and SIGKILL when it runs over its time.
    pub grace_ms: u32,
    /// Most bytes kept of each log: half from the beginning, half from the end. At most [`MAX_LOG_BYTES`].
    pub log_bytes: u32,
    /// Whom it runs as; nothing is the shim's own user.
    pub user: Option<User>,
    /// What the process is given beside, which stands nowhere else.
    pub secrets: Vec<Secret>,
    /// Whether what it starts may be given as many arguments as the kernel gives at most.
    pub long_arguments: bool,
}

/// A secret of a run or server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// How the process finds it.
    pub given: Given,
    /// Its value.
    pub value: Hidden,
}

/// How a process finds a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Given {
    /// As the variable of this name.
    Env(String),
    /// As the file of this name in the directory of [`SECRETS_ENV`].
    File(String),
}

/// Bytes that are never printed, and overwritten when they are dropped.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hidden(pub Vec<u8>);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Where standard input comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stdin {
    /// Nothing is there to read.
    Empty,
    /// This file, a path below the directory of inputs. Not a descriptor of the worker's: one that was opened where the
    /// file can be written to could be opened anew for writing.
    File(String),
}

/// Where standard output goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stdout {
    /// Kept as a log.
    Log,
    /// Straight to a file that travels with the run.
    Attached,
}

/// A server that stays up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Serve {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Added to the container's environment.
    pub env: Vec<(String, String)>,
    /// TCP port on 127.0.0.1 where the server listens.
    pub port: u16,
    /// Unix socket where it listens instead, if it can; tried first.
    pub socket: String,
    /// Most bytes kept of each log. At most [`MAX_LOG_BYTES`].
    pub log_bytes: u32,
    /// Whom it runs as; nothing is the shim's own user.
    pub user: Option<User>,
    /// What the server is given beside, which stands nowhere else.
    pub secrets: Vec<Secret>,
}

/// What the shim says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromShim {
    /// First frame of a connection.
    Hello {
        /// The shim's [`VERSION`].
        version: u16,
    },
    /// A run has ended and nothing of it is left.
    Done(Done),
    /// The server has ended, or could not be started.
    ServerEnded {
        /// How.
        end: End,
        /// What it wrote.
        stdout: Log,
        /// What it wrote.
        stderr: Log,
        /// Processes of it that the kernel killed for want of memory.
        memory_kills: u64,
    },
    /// Who a user is.
    User(Result<User, String>),
    /// The packet carries a socket connected to the server (`SCM_RIGHTS`). It is in non-blocking mode, and over TCP
    /// without delay.
    Connected {
        /// From [`ToShim::Connect`].
        id: u64,
    },
    /// The server cannot be connected to.
    ConnectFailed {
        /// From [`ToShim::Connect`].
        id: u64,
        /// The operating system's error number.
        errno: i32,
    },
    /// A program is there, or how a run of it would end.
    Found(Option<End>),
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// From [`Run`].
    pub seq: u64,
    /// How it ended.
    pub end: End,
    /// Something of it could not be removed: the container must not be used again.
    pub dirty: bool,
    /// Processes of it that the kernel killed for want of memory, whatever became of the others.
    pub memory_kills: u64,
    /// Processes and threads that the kernel refused it, as there were as many as there may be. 0 where it does not count them.
    pub process_refusals: u64,
    /// What it used.
    pub usage: Usage,
    /// What it wrote to standard output, when that is a log.
    pub stdout: Log,
    /// What it wrote to standard error.
    pub stderr: Log,
}

/// The ends of a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// By itself, with this code.
    Exited(i32),
    /// By this signal.
    Signaled {
        /// Number of the signal.
        signal: i32,
    },
    /// It could not be started.
    NotStarted {
        /// The operating system's error number.
        errno: i32,
        /// What was being done.
        doing: String,
    },
    /// It ran over its time.
    TimedOut,
    /// The worker stopped it.
    Stopped,
}

/// Resources a run used, from `wait4`: of its process, the children that one waited for, and its orphans.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Wall time in microseconds.
    pub wall_us: u64,
    /// CPU time in user mode, microseconds.
    pub user_us: u64,
    /// CPU time in the kernel, microseconds.
    pub system_us: u64,
    /// Largest resident set of one process, KiB. Never below the shim's own, which the kernel counts before `exec`.
    pub max_rss_kib: u64,
}

/// The beginning and the end of what a process wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// The first bytes.
    pub head: Vec<u8>,
    /// The last bytes, where `head` did not hold everything.
    pub tail: Vec<u8>,
    /// Bytes left out between the two.
    pub dropped: u64,
}

/// Encodes a frame.
///
/// # Errors
/// When the frame is larger than [`MAX_FRAME_BYTES`]: then command and environment are too long.
pub fn encode<T: Serialize>(frame: &T) -> Result<Vec<u8>, FrameError> {
    let bytes = postcard::to_stdvec(frame).map_err(FrameError::Malformed)?;
    if bytes.len() > MAX_FRAME_BYTES {
        return Err(FrameError::TooLarge { bytes: bytes.len() });
    }
    Ok(bytes)
}

/// Decodes a frame.
///
/// # Errors
/// When the bytes are not a frame of this version.
pub fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, FrameError> {
    postcard::from_bytes(bytes).map_err(FrameError::Malformed)
}

/// Why a frame cannot be sent or read.
#[derive(Debug)]
pub enum FrameError {
    /// More than [`MAX_FRAME_BYTES`].
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Not a frame.
    Malformed(postcard::Error),
}

impl std::fmt::Display for FrameError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooLarge { bytes } => {
                write!(f, "command and environment take {bytes} bytes, more than {MAX_FRAME_BYTES}")
            }
            Self::Malformed(_) => write!(f, "malformed frame"),
        }
    }
}

impl std::error::Error for FrameError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::TooLarge { .. } => None,
            Self::Malformed(cause) => Some(cause),
        }
    }
}
