//! What processes used: those that were waited for, and those that run.

use std::{
    collections::HashMap,
    ffi::OsString,
    fs,
    process::{Command, ExitStatus},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

/// What a process used so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// Processor time of its own threads, also of those that have ended.
    pub own: Duration,
    /// Processor time of the children it has waited for, and of theirs.
    pub children: Duration,
    /// Largest resident set in KiB.
    pub peak_kib: u64,
}

/// Runs a command to its end; its time, and the processor time of it and all its children that were waited for.
pub fn measure(command: &mut Command) -> Result<(Duration, Duration)> {
    let before = of(std::process::id())?.children;
    let started = Instant::now();
    let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
    let wall = started.elapsed();
    ensure_success(command, status)?;
    Ok((wall, of(std::process::id())?.children.saturating_sub(before)))
}

/// Fails when a command did.
pub fn ensure_success(command: &Command, status: ExitStatus) -> Result<()> {
    if status.success() {
        return Ok(());
    }
    bail!("{command:?} has failed: {status}")
}

/// What a process used so far.
pub fn of(pid: u32) -> Result<Usage> {
    let fields = stat(pid).with_context(|| format!("process {pid} is gone"))?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak_kib = peak.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0);
    Ok(Usage { own: ticks(&fields, 14), children: ticks(&fields, 16), peak_kib })
}

/// What a process and everything it has started used so far, as long as those that ended were waited for.
pub fn of_tree(root: u32) -> Result<Usage> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // One that has ended meanwhile is in its parent's account.
        if let Some(parent) = stat(pid).and_then(|fields| fields.get(3)?.parse().ok()) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let (mut sum, mut next) = (Usage::default(), vec![root]);
    while let Some(pid) = next.pop() {
        next.extend(children.remove(&pid).unwrap_or_default());
        if let Ok(usage) = of(pid) {
            sum.own += usage.own + usage.children;
            sum.peak_kib += usage.peak_kib;
        }
    }
    Ok(sum)
}

/// What each living thread of a process did so far. The times are exact, where [`of`] counts in 1/100 s.
#[derive(Debug, Clone, Default)]
pub struct Activity(HashMap<OsString, (u64, u64)>);

/// What a process's threads did so far.
pub fn activity(pid: u32) -> Result<Activity> {
    let mut threads = HashMap::new();
    for thread in fs::read_dir(format!("/proc/{pid}/task"))?.flatten() {
        // A thread may end while it is looked at.
        let read = |name: &str| fs::read_to_string(thread.path().join(name)).unwrap_or_default();
        let nanos = read("schedstat").split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0);
        let status = read("status");
        let lines = status.lines().filter_map(|line| line.split_once("ctxt_switches:"));
        let switches = lines.filter_map(|(_, count)| count.trim().parse::<u64>().ok()).sum();
        threads.insert(thread.file_name(), (nanos, switches));
    }
    Ok(Activity(threads))
}

impl Activity {
    /// Time on a processor, and switches of context, voluntary and not, since an earlier look. Threads that have ended
    /// in between are not in it.
    pub fn since(&self, before: &Activity) -> (Duration, u64) {
        let (mut nanos, mut switches) = (0, 0);
        for (thread, now) in &self.0 {
            let then = before.0.get(thread).copied().unwrap_or_default();
            nanos += now.0.saturating_sub(then.0);
            switches += now.1.saturating_sub(then.1);
        }
        (Duration::from_nanos(nanos), switches)
    }
}

/// The fields of `/proc/PID/stat`, so that field N of proc(5) is at N - 1; `None` when the process is gone.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold anything.
    let (_, after_name) = text.rsplit_once(')')?;
    let named = [String::new(), String::new()].into_iter();
    Some(named.chain(after_name.split_whitespace().map(str::to_owned)).collect())
}

/// Two fields together (user and system), counted as proc(5) does, in clock ticks of 1/100 s.
fn ticks(fields: &[String], first: usize) -> Duration {
    let ticks = |field: usize| fields.get(field - 1).and_then(|ticks| ticks.parse::<u64>().ok()).unwrap_or(0);
    Duration::from_millis((ticks(first) + ticks(first + 1)) * 10)
}
