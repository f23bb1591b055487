//! Tells whether the kernel has killed a process of this container for want of memory.

/// Where cgroup v2 and v1 show a container its own counters; both have a line `oom_kill <count>`.
const COUNTERS: [&str; 2] = ["/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"];

/// Watches the counter of such kills.
pub struct Memory {
    counter: Option<&'static str>,
    seen: u64,
}

impl Memory {
    /// Finds the counter. `contained` says that the container is ours alone; otherwise the counter is of no use, as it
    /// may be the whole machine's.
    pub fn new(contained: bool) -> Self {
        let found = COUNTERS.iter().filter(|_| contained).find_map(|path| Some((*path, kills(path)?)));
        Self { counter: found.map(|(path, _)| path), seen: found.map_or(0, |(_, count)| count) }
    }

    /// Whether there was such a kill since the last question. It is asked only after failures, as the answer costs more
    /// than a run may: so a kill that a successful run survived is charged to the next failure.
    pub fn was_short(&mut self) -> bool {
        let Some(count) = self.counter.and_then(kills) else {
            return false;
        };
        let rose = count > self.seen;
        self.seen = count;
        rose
    }
}

fn kills(path: &str) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("oom_kill "))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_is_found_among_its_neighbours() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "oom 9\noom_kill_disable 0\noom_kill 3\noom_group_kill 4\n").unwrap();
        assert_eq!(kills(file.path().to_str().unwrap()), Some(3));
    }

    #[test]
    fn without_a_counter_nothing_is_blamed_on_memory() {
        assert!(!Memory::new(false).was_short());
    }
}
