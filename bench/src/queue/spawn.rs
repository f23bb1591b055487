//! The floor: a bare loop of `posix_spawn` and `waitpid` per processor.

use std::{
    process::{Command, Stdio},
    thread,
    time::Instant,
};

use anyhow::{Result, anyhow};

use crate::{
    contender::Contender,
    processes,
    run::{Run, count},
};

/// Spawns and waits, on so many threads.
pub struct Spawn {
    pub slots: usize,
    pub items: usize,
}

impl Contender for Spawn {
    fn name(&self) -> String {
        format!("posix_spawn loop, {} at once", self.slots)
    }

    fn does(&self) -> String {
        "spawns /bin/true and waits for it, on a thread per process at once".to_owned()
    }

    fn run(&mut self) -> Result<Run> {
        let each = self.items / self.slots;
        let items = each * self.slots;
        let before = processes::of(std::process::id())?;
        let started = Instant::now();
        let threads: Vec<_> = (0..self.slots)
            .map(|_| {
                thread::spawn(move || -> std::io::Result<()> {
                    for _ in 0..each {
                        Command::new("/bin/true").stdin(Stdio::null()).status()?;
                    }
                    Ok(())
                })
            })
            .collect();
        for thread in threads {
            thread.join().map_err(|_| anyhow!("a spawning thread has panicked"))??;
        }
        let wall = started.elapsed();
        let after = processes::of(std::process::id())?;
        let run = Run::rate("items/s", count(items), wall);
        Ok(run.with_cpu("spawner", after.own.saturating_sub(before.own), items).with_cpu(
            "users",
            after.children.saturating_sub(before.children),
            items,
        ))
    }
}
