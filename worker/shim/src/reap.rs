//! Ends processes, and collects what is left of them.

use std::time::Duration;

use longshore_shim::Usage;
use rustix::process::{Pid, Signal, getpid, kill_process, kill_process_group};

/// A child that has ended.
#[derive(Clone, Copy)]
pub struct Ended {
    /// Which.
    pub pid: Pid,
    /// How.
    pub status: Status,
    /// What it and the children it waited for used; `wall_us` is not known here and zero.
    pub usage: Usage,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// With this code.
    Exited(i32),
    /// By this signal.
    Signaled(i32),
}

/// Answer of [`next`].
pub enum Next {
    /// This child ended; there may be more.
    Ended(Ended),
    /// Children are left, and all of them still run.
    Alive,
    /// No child is left. As an orphan becomes a child of the shim before its parent can be waited for, then no
    /// descendant is left either.
    Nobody,
}

/// Collects one child that has ended, without waiting.
pub fn next() -> Next {
    let mut status = 0;
    // SAFETY: plain numbers, for which all zeroes is a value.
    #[allow(unsafe_code)]
    let mut rusage: libc::rusage = unsafe { std::mem::zeroed() };
    // `__WALL` also finds children that were cloned with an exit signal other than SIGCHLD.
    // SAFETY: both pointers are to live values of the right type. rustix has no call that gives the usage.
    #[allow(unsafe_code)]
    let pid = unsafe { libc::wait4(-1, &raw mut status, libc::WNOHANG | libc::__WALL, &raw mut rusage) };
    if pid == 0 {
        return Next::Alive;
    }
    // The only error without a pointer or option to complain of is "no children".
    match Pid::from_raw(pid.max(0)) {
        None => Next::Nobody,
        Some(pid) => Next::Ended(Ended { pid, status: status_of(status), usage: usage_of(&rusage) }),
    }
}

fn status_of(status: libc::c_int) -> Status {
    if libc::WIFSIGNALED(status) {
        Status::Signaled(libc::WTERMSIG(status))
    } else {
        Status::Exited(libc::WEXITSTATUS(status))
    }
}

fn usage_of(rusage: &libc::rusage) -> Usage {
    Usage {
        wall_us: 0,
        user_us: micros(rusage.ru_utime),
        system_us: micros(rusage.ru_stime),
        max_rss_kib: u64::try_from(rusage.ru_maxrss).unwrap_or(0),
    }
}

fn micros(time: libc::timeval) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let micros = u32::try_from(time.tv_usec).unwrap_or(0);
    let whole = Duration::from_secs(seconds) + Duration::from_micros(micros.into());
    u64::try_from(whole.as_micros()).unwrap_or(u64::MAX)
}

/// Asks the process group of a child to end. The child must not have been collected yet: till then neither its number
/// nor its group's can be used again.
pub fn terminate(pid: Pid) {
    if kill_process_group(pid, Signal::TERM).is_err() {
        // It has left its own group. If it has ended as well, the next look at the children tells.
        let _ = kill_process(pid, Signal::TERM);
    }
}

/// Knows how to reach every process the shim is responsible for.
pub struct Reaper {
    first: bool,
}

impl Reaper {
    /// As process 1 of a PID namespace it reaches all processes in it; otherwise only descendants.
    pub fn new() -> Self {
        Self { first: getpid() == Pid::INIT }
    }

    /// Whether this is process 1.
    pub fn is_first(&self) -> bool {
        self.first
    }

    /// Sends SIGKILL once: as process 1 to everything in the namespace, otherwise to the children. Children of those
    /// become children of the shim when they die, so repeating this until nobody is left reaches every descendant;
    /// and only children are signalled, because nobody else's numbers are sure not to be used again by strangers.
    pub fn kill(&self) {
        if self.first {
            // The "group" 1 is `kill(-1)`: everyone but the caller, and no fork slips through.
            let _ = kill_process_group(Pid::INIT, Signal::KILL);
        } else {
            for child in children() {
                let _ = kill_process(child, Signal::KILL);
            }
        }
    }
}

fn children() -> Vec<Pid> {
    match std::fs::read_to_string("/proc/thread-self/children") {
        Ok(list) => list.split_ascii_whitespace().filter_map(parse).collect(),
        // A kernel without CONFIG_PROC_CHILDREN.
        Err(_) => children_by_parent(),
    }
}

fn children_by_parent() -> Vec<Pid> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| parse(entry.ok()?.file_name().to_str()?))
        .filter(|pid| parent_of(*pid) == Some(getpid()))
        .collect()
}

/// The fields of `stat` are `pid (name) state parent …`, and the name may hold anything.
fn parent_of(pid: Pid) -> Option<Pid> {
    let stat = std::fs::read(format!("/proc/{}/stat", pid.as_raw_pid())).ok()?;
    let after_name = stat.iter().rposition(|byte| *byte == b')')? + 1;
    let rest = std::str::from_utf8(&stat[after_name..]).ok()?;
    parse(rest.split_ascii_whitespace().nth(1)?)
}

fn parse(number: &str) -> Option<Pid> {
    Pid::from_raw(number.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_are_found_by_their_parent() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = Pid::from_child(&child);
        assert_eq!(parent_of(pid), Some(getpid()));
        assert!(children_by_parent().contains(&pid));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
