//! Processes: waited for with what they used, or looked at while they run.

use std::{
    fs,
    process::{Command, ExitStatus},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::peers::Measured;

/// Runs a command to its end and measures it. Its children's processor time is in it, once they were waited for.
pub fn measure(command: &mut Command, items: usize) -> Result<Measured> {
    let before = children_cpu()?;
    let started = Instant::now();
    let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
    let wall = started.elapsed();
    ensure_success(command, status)?;
    let cpu = children_cpu()?.saturating_sub(before);
    Ok(Measured::new(items, wall).with_cpu("all", cpu))
}

/// Fails when a command did.
pub fn ensure_success(command: &Command, status: ExitStatus) -> Result<()> {
    if status.success() {
        return Ok(());
    }
    bail!("{command:?} has failed: {status}")
}

/// Processor time of all children that were waited for.
fn children_cpu() -> Result<Duration> {
    // /proc says it in ticks, which is exact enough over thousands of items.
    cpu_of_stat("/proc/self/stat", 15)
}

/// Processor time of one process's threads, and its largest resident set in KiB.
pub fn look(pid: u32) -> Result<(Duration, u64)> {
    let cpu = cpu_of_stat(&format!("/proc/{pid}/stat"), 13)?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0);
    Ok((cpu, peak))
}

/// User and system time at `field` and the one after it (proc(5), counted from 0), in clock ticks of 1/100 s.
fn cpu_of_stat(path: &str, field: usize) -> Result<Duration> {
    let stat = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    let after_name = stat.rfind(')').map_or(0, |at| at + 2);
    let fields: Vec<&str> = stat[after_name..].split(' ').collect();
    let ticks = |at: usize| fields.get(at - 2).and_then(|ticks| ticks.parse::<u64>().ok()).unwrap_or(0);
    Ok(Duration::from_millis((ticks(field) + ticks(field + 1)) * 10))
}
