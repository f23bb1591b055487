//! Counts what the kernel did to the processes of this container for the sake of its bounds.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// Where cgroup v2 and v1 show a container its own counters; both have a line `oom_kill <count>`.
const MEMORY: [&str; 2] = ["/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"];

/// The same for the number of processes; both have a line `max <count>`. Some kernels have neither.
const PROCESSES: [&str; 2] = ["/sys/fs/cgroup/pids.events", "/sys/fs/cgroup/pids/pids.events"];

/// More than any of these files has.
const BYTES: usize = 512;

/// Watches one counter through a descriptor that stays open: one system call for each look.
pub struct Counter {
    file: Option<File>,
    key: &'static str,
    seen: u64,
}

impl Counter {
    /// Of processes that were killed for want of memory. `contained` says that the container is ours alone; otherwise the
    /// counter is of no use, as it may be the whole machine's.
    pub fn of_memory_kills(contained: bool) -> Self {
        Self::find(&MEMORY, "oom_kill ", contained)
    }

    /// Of processes and threads that were refused, as there were as many as there may be. `contained` as above.
    pub fn of_process_refusals(contained: bool) -> Self {
        Self::find(&PROCESSES, "max ", contained)
    }

    fn find(paths: &[&str], key: &'static str, contained: bool) -> Self {
        let found = paths.iter().filter(|_| contained).find_map(|path| Self::open(path, key));
        found.unwrap_or(Self { file: None, key, seen: 0 })
    }

    /// Watches this file, if it has such a counter.
    fn open(path: &str, key: &'static str) -> Option<Self> {
        let file = File::open(path).ok()?;
        let seen = count(&file, key)?;
        Some(Self { file: Some(file), key, seen })
    }

    /// How often it has happened since the last question. To be asked when all processes of a run are dead: then nothing of
    /// theirs is still to come, and none of it is charged to the next.
    pub fn new_ones(&mut self) -> u64 {
        let Some(count) = self.file.as_ref().and_then(|file| count(file, self.key)) else { return 0 };
        let new = count.saturating_sub(self.seen);
        self.seen = count;
        new
    }
}

fn count(file: &File, key: &str) -> Option<u64> {
    let mut bytes = [0; BYTES];
    let read = file.read_at(&mut bytes, 0).ok()?;
    let text = std::str::from_utf8(&bytes[..read]).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Fixture = (&'static str, fn(u64) -> String);

    /// `memory.events` of cgroup v2, as the kernel's documentation (cgroup-v2.rst) lists it, `memory.oom_control` of v1, and
    /// `pids.events` of both.
    const FIXTURES: [Fixture; 3] = [
        ("oom_kill ", |count| format!("low 0\nhigh 12\nmax 345\noom 9\noom_kill {count}\noom_group_kill 4\n")),
        ("oom_kill ", |count| format!("oom_kill_disable 0\nunder_oom 0\noom_kill {count}\n")),
        ("max ", |count| format!("max {count}\n")),
    ];

    #[test]
    fn what_happened_since_the_last_question_is_counted_by_both_versions() {
        for (key, fixture) in FIXTURES {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(&file, fixture(3)).unwrap();
            let mut counter = Counter::open(file.path().to_str().unwrap(), key).unwrap();
            assert_eq!(counter.new_ones(), 0, "what was before is nobody's");
            std::fs::write(&file, fixture(5)).unwrap();
            assert_eq!((counter.new_ones(), counter.new_ones()), (2, 0));
        }
    }

    #[test]
    fn without_a_counter_nothing_is_blamed_on_a_bound() {
        assert_eq!(Counter::of_memory_kills(false).new_ones(), 0);
        assert_eq!(Counter::of_process_refusals(false).new_ones(), 0);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "oom 1\n").unwrap();
        assert!(Counter::open(file.path().to_str().unwrap(), "oom_kill ").is_none());
    }
}
