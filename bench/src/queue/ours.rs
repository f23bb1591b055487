//! Ours: `longshore run` of `true` over small files, durable, outputs kept and fetched.

use anyhow::{Context, Result};

use super::flags::QueueArgs;
use crate::{
    contender::Contender,
    longshore::{Longshore, Work, make_inputs},
    run::{Run, count},
    setup::Setup,
};

/// How the servers are started.
type Start = fn(&Setup, Work) -> Result<Longshore>;

/// A Longshore and its items.
pub struct Ours {
    name: &'static str,
    start: Start,
    setup: Setup,
    image: String,
    items: usize,
    running: Option<Longshore>,
}

impl Ours {
    /// One process for coordinator and worker.
    pub fn up(args: &QueueArgs, image: &str) -> Self {
        Self::new("longshore up", Longshore::up, args, image)
    }

    /// A process for each, so that what they use can be told apart.
    pub fn apart(args: &QueueArgs, image: &str) -> Self {
        Self::new("longshore coordinator and worker", Longshore::apart, args, image)
    }

    fn new(name: &'static str, start: Start, args: &QueueArgs, image: &str) -> Self {
        let (setup, image) = (args.setup.clone(), image.to_owned());
        Self { name, start, setup, image, items: args.items, running: None }
    }
}

impl Contender for Ours {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn does(&self) -> String {
        "a job of `true`, a file in and one out per item; items/s from its durable acknowledgement to its last durable \
         commit; whole items/s of the command, from files to outputs in place"
            .to_owned()
    }

    fn start(&mut self) -> Result<()> {
        let ours = (self.start)(&self.setup, Work::command(&self.image, &["true"]))?;
        make_inputs(&ours.room().join("items"), self.items)?;
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
        let run = Run::rate("items/s", count(self.items), ours.last_job()?);
        let run = run.with("whole items/s", count(self.items) / whole.as_secs_f64());
        Ok(after.account(&before, self.items, run).with_cpu("client", client, self.items))
    }
}
