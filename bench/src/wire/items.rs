//! Trivial items of a worker that came in by one of the ways.

use anyhow::{Context, Result};

use super::flags::WireArgs;
use crate::{
    contender::Contender,
    longshore::{Entry, Longshore, Work, make_inputs},
    run::{Run, count},
    setup::Setup,
};

/// A Longshore and its items.
pub struct Items {
    entry: Entry,
    setup: Setup,
    image: String,
    items: usize,
    running: Option<Longshore>,
}

impl Items {
    /// With everybody coming in by this.
    pub fn by(entry: Entry, args: &WireArgs, image: &str) -> Self {
        Self { entry, setup: args.setup.clone(), image: image.to_owned(), items: args.items, running: None }
    }
}

impl Contender for Items {
    fn name(&self) -> String {
        format!("items by {}", self.entry)
    }

    fn does(&self) -> String {
        "a job of `true`; items/s from its durable acknowledgement to its last durable commit".to_owned()
    }

    fn start(&mut self) -> Result<()> {
        let ours = Longshore::apart_by(self.entry, &self.setup, Work::command(&self.image, &["true"]))?;
        make_inputs(&ours.room().join("items"), self.items)?;
        self.running = Some(ours);
        Ok(())
    }

    fn run(&mut self) -> Result<Run> {
        let ours = self.running.as_ref().context("not started")?;
        ours.warm_up()?;
        let before = ours.look()?;
        ours.job(&ours.room().join("items"))?;
        let after = ours.look()?;
        Ok(after.account(&before, self.items, Run::rate("items/s", count(self.items), ours.last_job()?)))
    }
}
