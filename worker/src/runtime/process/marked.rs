//! Finds processes by a mark in their environment, and ends them.
//!
//! A plain child has no namespace whose end would be the end of everything in it. Its shim ends its descendants when
//! its worker is gone; but a shim that was killed cannot. So each sandbox's processes inherit a variable that names it.
//! A process may drop the mark: it then stays, as it could by many other ways. This runtime isolates nobody.

use std::{
    collections::BTreeSet,
    fs, io,
    time::{Duration, Instant},
};

use rustix::process::{Pid, PidfdFlags, Signal, getpid, pidfd_open, pidfd_send_signal};

/// The variable.
pub(super) const MARK_ENV: &str = "LONGSHORE_SANDBOX";

/// How long to go on: killed processes need a moment, and those that fork while we look are found at the next look.
const LIMIT: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Kills every process whose mark is wanted, until none is left; answers the marks that were found. Blocks.
///
/// # Errors
/// When some are still there after five seconds, or `/proc` cannot be read.
pub(super) fn end_all(wanted: impl Fn(&str) -> bool) -> io::Result<BTreeSet<String>> {
    let limit = Instant::now() + LIMIT;
    let mut found = BTreeSet::new();
    loop {
        let now = kill_once(&wanted)?;
        if now.is_empty() {
            return Ok(found);
        }
        if Instant::now() > limit {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "some processes outlive SIGKILL"));
        }
        found.extend(now);
        std::thread::sleep(LOOK_AGAIN);
    }
}

fn kill_once(wanted: &impl Fn(&str) -> bool) -> io::Result<BTreeSet<String>> {
    let mut marks = BTreeSet::new();
    for entry in fs::read_dir("/proc")? {
        let Ok(entry) = entry else { continue };
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw) else {
            continue;
        };
        if pid != getpid()
            && let Some(mark) = kill_if_marked(pid, wanted)
        {
            marks.insert(mark);
        }
    }
    Ok(marks)
}

/// The descriptor is opened before the mark is read, so the process that is killed is the one that was looked at, even
/// if its number is given to another meanwhile.
fn kill_if_marked(pid: Pid, wanted: &impl Fn(&str) -> bool) -> Option<String> {
    let process = pidfd_open(pid, PidfdFlags::empty()).ok()?;
    // Processes of others, and those that have ended but were not collected, cannot be read, or are empty.
    let environment = fs::read(format!("/proc/{}/environ", pid.as_raw_pid())).ok()?;
    let mark = environment.split(|byte| *byte == 0).find_map(|variable| {
        let value = std::str::from_utf8(variable).ok()?.strip_prefix(MARK_ENV)?.strip_prefix('=')?;
        Some(value.to_owned())
    })?;
    if !wanted(&mark) {
        return None;
    }
    pidfd_send_signal(process, Signal::KILL).ok()?;
    Some(mark)
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::ExitStatusExt, process::Command};

    use super::*;

    #[test]
    fn only_processes_with_the_mark_end() {
        let mark = uuid::Uuid::new_v4().to_string();
        let sleep = |mark: &str| Command::new("sleep").arg("600").env(MARK_ENV, mark).spawn().unwrap();
        let (mut ours, mut other) = (sleep(&mark), sleep("another"));
        // The child is collected meanwhile, as the shim's parent would.
        let waiting = std::thread::spawn(move || ours.wait().unwrap());
        let found = end_all(|found| found == mark).unwrap();
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [mark]);
        assert_eq!(waiting.join().unwrap().signal(), Some(9));
        assert!(other.try_wait().unwrap().is_none());
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
