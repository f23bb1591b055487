//! Limits that an engine enforces, and those that it only takes down.

use std::fmt;

use bollard::models::{SystemInfo, SystemInfoCgroupDriverEnum};

/// A bound of a container's resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    /// Bytes of memory.
    Memory,
    /// Bytes of memory and swap together. Without it, what is over the memory limit may go to swap.
    Swap,
    /// Number of processes and threads.
    Processes,
    /// Share of the processors.
    Processors,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::Swap => "swap",
            Self::Processes => "processes",
            Self::Processors => "processors",
        })
    }
}

impl Limit {
    const ALL: [Self; 4] = [Self::Memory, Self::Swap, Self::Processes, Self::Processors];
}

/// The limits that are not enforced by an engine that says this of itself. What it does not tell, it is believed to have.
pub(super) fn unenforced(info: &SystemInfo, rootless: bool, cgroup_version: u8) -> Vec<Limit> {
    let no_groups = info.cgroup_driver == Some(SystemInfoCgroupDriverEnum::NONE);
    // Version 1 is not delegated to ordinary users, whatever the kernel has.
    if no_groups || (rootless && cgroup_version == 1) {
        return Limit::ALL.into();
    }
    let said = |limit: Limit| match limit {
        Limit::Memory => info.memory_limit,
        Limit::Swap => info.swap_limit,
        Limit::Processes => info.pids_limit,
        Limit::Processors => info.cpu_cfs_quota,
    };
    Limit::ALL.into_iter().filter(|&limit| said(limit) == Some(false)).collect()
}

/// The limits that are not kept where a program was told this of its control group, by the shim's trial run: `NAME VALUE` a line.
pub(super) fn unkept(told: &str) -> Vec<Limit> {
    let is_unbounded = |value: &str| match value.parse::<i64>() {
        // Version 1 says so with a number a little smaller than the largest.
        Ok(number) => !(0..1 << 60).contains(&number),
        Err(_) => true,
    };
    let values = told.lines().filter_map(|line| line.split_once(' '));
    let unbounded: Vec<_> = values.filter(|(_, value)| is_unbounded(value)).map(|(name, _)| name).collect();
    Limit::ALL.into_iter().filter(|limit| unbounded.contains(&limit.to_string().as_str())).collect()
}

/// Limits as people list them; empty for none.
#[must_use]
pub fn list(limits: &[Limit]) -> String {
    limits.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(memory: bool, pids: bool) -> SystemInfo {
        SystemInfo { memory_limit: Some(memory), pids_limit: Some(pids), ..SystemInfo::default() }
    }

    #[test]
    fn what_an_engine_says_it_lacks_is_not_enforced() {
        assert_eq!(unenforced(&with(true, true), false, 2), []);
        assert_eq!(unenforced(&with(false, true), false, 1), [Limit::Memory]);
        assert_eq!(list(&unenforced(&with(false, false), true, 2)), "memory, processes");
    }

    #[test]
    fn what_a_run_is_told_to_have_without_a_bound_is_not_kept() {
        let new = "memory 67108864\nswap 0\nprocesses 256\nprocessors 50000";
        assert_eq!(unkept(new), []);
        assert_eq!(unkept("memory max\nprocesses max\nprocessors 50000"), [Limit::Memory, Limit::Processes]);
        assert_eq!(
            unkept("memory 67108864\nswap 9223372036854771712\nprocessors -1"),
            [Limit::Swap, Limit::Processors]
        );
        assert_eq!(unkept(""), []);
    }

    #[test]
    fn without_control_groups_of_its_own_an_engine_enforces_nothing_whatever_it_says() {
        assert_eq!(unenforced(&with(true, true), true, 1), Limit::ALL);
        let none = SystemInfo { cgroup_driver: Some(SystemInfoCgroupDriverEnum::NONE), ..with(true, true) };
        assert_eq!(unenforced(&none, false, 2), Limit::ALL);
    }
}
