//! The floor: a bare loop of `posix_spawn` and `waitpid` per processor.

use std::{
    process::{Command, Stdio},
    thread,
    time::Instant,
};

use anyhow::{Result, anyhow};

use super::{Measured, Peer};
use crate::args::QueueArgs;

/// Spawns and waits, on so many threads.
pub struct Spawn {
    slots: usize,
    items: usize,
}

impl Spawn {
    /// As many threads as slots.
    pub fn new(args: &QueueArgs) -> Self {
        Self { slots: args.slots, items: args.items }
    }
}

impl Peer for Spawn {
    fn name(&self) -> String {
        format!("posix_spawn loop, {} at once", self.slots)
    }

    fn run(&mut self) -> Result<Measured> {
        let each = self.items / self.slots;
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
        Ok(Measured::new(each * self.slots, started.elapsed()))
    }
}
