//! The shim: process 1 of a user container.
//!
//! A single thread that waits for frames, for children and for what they write. It starts what the worker names, bounds
//! it, kills all that is left of it, empties scratch space and says how it ended. It decides nothing: no retry, no
//! meaning of an exit code, no look into outputs.
//!
//! In a container it is user 0 with the capabilities to start processes as others and to kill them, and no more (`rights`);
//! what it starts has none, a user of its own, and filters of system calls (`filter`).
//!
//! It is also the program of the worker's trial run (`probe`).
//!
//! It leaves with 0 when told to or when the worker is gone, with 69 when it cannot begin, with 70 when the worker
//! makes no sense. As process 1 its end is the end of everything in the container; otherwise it kills its descendants.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod child;
mod command;
mod counters;
mod filter;
mod logs;
mod probe;
mod reap;
mod rights;
mod run;
mod scratch;
mod secrets;
mod server;
mod shim;
mod socket;
mod spawn;
mod sysv;
mod users;
mod wake;

use std::{fmt, io, path::PathBuf, process::ExitCode};

use longshore_shim::{CONTAINER_ENV, FromShim, SCRATCH_ENV, SOCKET_ENV, VERSION};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, getpid, set_child_subreaper, set_dumpable_behavior};

use crate::shim::Shim;
use crate::socket::{Lost, Socket};

/// Exit code when the worker or the system cannot be used.
const UNAVAILABLE: u8 = 69;

/// Exit code when the worker makes no sense.
const MALFORMED: u8 = 70;

fn main() -> ExitCode {
    if let Some(file) = probe::asked() {
        return match probe::run(&file) {
            Ok(()) => ExitCode::SUCCESS,
            Err(cause) => complain(&format!("the trial run: {cause}"), UNAVAILABLE),
        };
    }
    let mut shim = match begin() {
        Ok(shim) => shim,
        Err(unready) => return complain(&unready.to_string(), UNAVAILABLE),
    };
    let lost = shim.work();
    shim.end_everything();
    match lost {
        Ok(()) | Err(Lost::Closed) => ExitCode::SUCCESS,
        Err(lost @ Lost::System(_)) => complain(&lost.to_string(), UNAVAILABLE),
        Err(lost @ Lost::Malformed) => complain(&lost.to_string(), MALFORMED),
    }
}

fn complain(problem: &str, code: u8) -> ExitCode {
    eprintln!("longshore-shim: {problem}");
    ExitCode::from(code)
}

/// Why the shim cannot begin.
enum Unready {
    Undumpable(Errno),
    Orphans(Errno),
    Rights(Errno),
    Filter(Errno),
    NoSocket,
    Dial(PathBuf, Lost),
    Scratch(io::Error),
    Hello(Lost),
}

impl fmt::Display for Unready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Undumpable(errno) => write!(f, "cannot be made undumpable: {errno}"),
            Self::Orphans(errno) => write!(f, "cannot adopt orphans: {errno}"),
            Self::Rights(errno) => write!(f, "cannot give up inheritable capabilities: {errno}"),
            Self::Filter(errno) => write!(f, "cannot filter system calls: {errno}"),
            Self::NoSocket => write!(f, "{SOCKET_ENV} is not set"),
            Self::Dial(path, lost) => write!(f, "{}: {lost}", path.display()),
            Self::Scratch(cause) => cause.fmt(f),
            Self::Hello(lost) => lost.fmt(f),
        }
    }
}

fn begin() -> Result<Shim, Unready> {
    keep_descriptors();
    // Where user processes run as the same user they could take the shim over with ptrace.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(Unready::Undumpable)?;
    // Process 1 inherits orphans by itself; for a plain child this makes them come to it.
    set_child_subreaper(Some(getpid())).map_err(Unready::Orphans)?;
    let contained = std::env::var_os(CONTAINER_ENV).is_some();
    if contained {
        rights::inherit_nothing().map_err(Unready::Rights)?;
        rights::leave_groups();
        filter::install().map_err(Unready::Filter)?;
    }
    let path = std::env::var_os(SOCKET_ENV).ok_or(Unready::NoSocket)?;
    let socket = Socket::dial(&path).map_err(|lost| Unready::Dial(PathBuf::from(&path), lost))?;
    let scratch = std::env::var_os(SCRATCH_ENV).unwrap_or_default();
    let shim = Shim::new(socket, &scratch, contained).map_err(Unready::Scratch)?;
    shim.say(&FromShim::Hello { version: VERSION }).map_err(Unready::Hello)?;
    Ok(shim)
}

/// Keeps what the shim was started with, beyond its standard streams, from the user's processes.
fn keep_descriptors() {
    // Kernels before 5.11 cannot do this; then it rests on who starts the shim, as it always does for an engine.
    // SAFETY: it closes nothing now, and no descriptor is meant to outlive `exec`.
    #[allow(unsafe_code)]
    unsafe {
        libc::close_range(3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC as libc::c_int);
    }
}
