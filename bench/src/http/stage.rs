//! Ours as a stage: each item a request, its answer a durable output.

use std::fs;

use anyhow::{Context, Result};

use super::flags::HttpArgs;
use crate::{
    contender::Contender,
    longshore::{Longshore, Work},
    run::{Run, count},
    setup::Setup,
};

/// A job of an http stage.
pub struct Stage {
    setup: Setup,
    work: Work,
    items: usize,
    bytes: usize,
    running: Option<Longshore>,
}

impl Stage {
    /// With the items asked for.
    pub fn new(args: &HttpArgs, work: Work) -> Self {
        Self { setup: args.setup.clone(), work, items: args.items, bytes: args.bytes, running: None }
    }
}

impl Contender for Stage {
    fn name(&self) -> String {
        "longshore, an http stage".to_owned()
    }

    fn does(&self) -> String {
        "a job, a file in and one out per item; requests/s from its durable acknowledgement to its last durable commit"
            .to_owned()
    }

    fn start(&mut self) -> Result<()> {
        let ours = Longshore::up(&self.setup, self.work.clone())?;
        let dir = ours.room().join("items");
        fs::create_dir(&dir)?;
        for item in 0..self.items {
            fs::write(dir.join(format!("{item:06}")), format!("{item:0width$}", width = self.bytes))?;
        }
        self.running = Some(ours);
        Ok(())
    }

    fn run(&mut self) -> Result<Run> {
        let ours = self.running.as_ref().context("not started")?;
        // The others may have taken longer than warm containers are kept.
        ours.warm_up()?;
        let before = ours.look()?;
        let (whole, client) = ours.job(&ours.room().join("items"))?;
        let after = ours.look()?;
        let run = Run::rate("requests/s", count(self.items), ours.last_job()?);
        let run = run.with("whole requests/s", count(self.items) / whole.as_secs_f64());
        Ok(after.account(&before, self.items, run).with_cpu("client", client, self.items))
    }
}
