//! A process per item without bookkeeping: `xargs` on the host and inside one container, and GNU parallel.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::{flags::QueueArgs, installed::is_here};
use crate::{
    containers::Kept,
    contender::Contender,
    processes,
    run::{Run, count},
};

/// A pipeline on the host.
pub struct OnHost {
    name: String,
    needs: &'static str,
    script: String,
    items: usize,
}

impl OnHost {
    /// `xargs`.
    pub fn xargs(args: &QueueArgs) -> Self {
        let (items, slots) = (args.items, args.setup.slots);
        let script = format!("seq {items} | xargs -P{slots} -n1 /bin/true");
        Self { name: format!("xargs -P{slots} on the host"), needs: "xargs", script, items }
    }

    /// GNU parallel.
    pub fn gnu_parallel(args: &QueueArgs) -> Self {
        let (items, slots) = (args.items.min(2_000), args.setup.slots);
        let script = format!("seq {items} | parallel -j{slots} /bin/true");
        Self { name: format!("GNU parallel -j{slots} on the host"), needs: "parallel", script, items }
    }
}

impl Contender for OnHost {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn does(&self) -> String {
        self.script.clone()
    }

    fn start(&mut self) -> Result<()> {
        if !is_here(self.needs) {
            bail!("`{0}` is not on the path; Debian: apt-get install {0}", self.needs);
        }
        Ok(())
    }

    fn run(&mut self) -> Result<Run> {
        let (wall, cpu) = processes::measure(Command::new("sh").args(["-c", &self.script]).stdout(Stdio::null()))?;
        Ok(Run::rate("items/s", count(self.items), wall).with_cpu("all", cpu, self.items))
    }
}

/// `xargs` inside one warm container of the image: a fresh process per item in a reused container cannot be faster.
pub struct InContainer {
    image: String,
    slots: usize,
    items: usize,
    running: Option<Kept>,
}

impl InContainer {
    /// With as many processes at once as slots.
    pub fn new(args: &QueueArgs, image: &str) -> Self {
        Self { image: image.to_owned(), slots: args.setup.slots, items: args.items, running: None }
    }

    fn script(&self) -> String {
        format!("seq {} | xargs -P{} -n1 true", self.items, self.slots)
    }
}

impl Contender for InContainer {
    fn name(&self) -> String {
        format!("xargs -P{} in one container", self.slots)
    }

    fn does(&self) -> String {
        format!("{}, in its container; the start of `docker exec` is not in the time", self.script())
    }

    fn start(&mut self) -> Result<()> {
        self.running = Some(Kept::start(&[&self.image, "sleep", "86400"])?);
        Ok(())
    }

    fn run(&mut self) -> Result<Run> {
        let kept = self.running.as_ref().context("not started")?;
        let before = kept.container.cpu()?;
        let wall = kept.timed(&self.script())?;
        let cpu = kept.container.cpu()?.saturating_sub(before);
        Ok(Run::rate("items/s", count(self.items), wall).with_cpu("container", cpu, self.items))
    }
}
