//! Dask distributed: a scheduler, processes of one thread each, everything in memory.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result};

use super::{flags::QueueArgs, python};
use crate::{
    contender::Contender,
    processes,
    run::{Run, count},
};

/// Dask with one kind of task.
pub struct Dask {
    python: PathBuf,
    slots: usize,
    items: usize,
    task: &'static str,
    running: Option<(python::Program, tempfile::TempDir)>,
}

impl Dask {
    /// With as many processes as slots.
    pub fn new(args: &QueueArgs, task: &'static str) -> Self {
        Self {
            python: python::interpreter(&args.python),
            slots: args.setup.slots,
            items: args.items,
            task,
            running: None,
        }
    }
}

impl Contender for Dask {
    fn name(&self) -> String {
        format!("Dask distributed, {} processes, {}", self.slots, self.task)
    }

    fn does(&self) -> String {
        format!("{}; maps all, gathers all results; scheduler in the client's process", python::does(self.task))
    }

    fn start(&mut self) -> Result<()> {
        python::require(&self.python, "distributed")?;
        let dir = tempfile::tempdir()?;
        let program = python::write(dir.path(), "bench_dask.py", include_str!("dask.py"))?;
        let mut command = Command::new(&self.python);
        command.arg(program).arg(self.slots.to_string()).current_dir(dir.path());
        self.running = Some((python::Program::start(&mut command)?, dir));
        Ok(())
    }

    fn run(&mut self) -> Result<Run> {
        let (program, _) = self.running.as_mut().context("not started")?;
        let pid = program.pid();
        let before = (processes::of(pid)?, processes::of_tree(pid)?);
        let wall = program.tasks(self.task, self.items)?;
        let after = (processes::of(pid)?, processes::of_tree(pid)?);
        let scheduler = after.0.own.saturating_sub(before.0.own);
        let all = after.1.own.saturating_sub(before.1.own);
        Ok(Run::rate("items/s", count(self.items), wall)
            .with_cpu("client and scheduler", scheduler, self.items)
            .with_cpu("workers and tasks", all.saturating_sub(scheduler), self.items)
            .with_peak("all", after.1.peak_kib))
    }
}
