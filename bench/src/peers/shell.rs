//! A process per item without bookkeeping: `xargs` on the host and inside one container, and GNU parallel.

use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::{Measured, Peer};
use crate::{args::QueueArgs, processes};

/// A pipeline on the host.
pub struct OnHost {
    name: String,
    script: String,
    items: usize,
}

impl OnHost {
    /// `xargs`.
    pub fn xargs(args: &QueueArgs) -> Self {
        let (items, slots) = (args.items, args.slots);
        let script = format!("seq {items} | xargs -P{slots} -n1 /bin/true");
        Self { name: format!("xargs -P{slots} on the host"), script, items }
    }

    /// GNU parallel.
    pub fn gnu_parallel(args: &QueueArgs) -> Self {
        let items = args.items.min(2_000);
        let script = format!("seq {items} | parallel -j{} /bin/true", args.slots);
        Self { name: format!("GNU parallel -j{} on the host", args.slots), script, items }
    }
}

impl Peer for OnHost {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn run(&mut self) -> Result<Measured> {
        let mut command = Command::new("sh");
        command.args(["-c", &self.script]).stdout(Stdio::null());
        processes::measure(&mut command, self.items)
    }
}

/// `xargs` inside one warm container of the image: a fresh process per item in a reused container cannot be faster.
pub struct InContainer {
    container: String,
    slots: usize,
    items: usize,
}

impl InContainer {
    /// Starts the container.
    pub fn start(args: &QueueArgs, image: &str) -> Result<Self> {
        let mut run = Command::new("docker");
        run.args(["run", "-d", "--rm", "--network", "none", "--label", "longshore=bench", image, "sleep", "86400"]);
        let output = run.output().context("cannot run docker")?;
        processes::ensure_success(&run, output.status)?;
        let container = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Ok(Self { container, slots: args.slots, items: args.items })
    }
}

impl Drop for InContainer {
    fn drop(&mut self) {
        // It goes by itself within a day.
        let _ = Command::new("docker").args(["rm", "-f", &self.container]).stdout(Stdio::null()).status();
    }
}

impl Peer for InContainer {
    fn name(&self) -> String {
        format!("xargs -P{} in one container", self.slots)
    }

    fn run(&mut self) -> Result<Measured> {
        let script = format!("seq {} | xargs -P{} -n1 true", self.items, self.slots);
        let mut command = Command::new("docker");
        command.args(["exec", &self.container, "sh", "-c", &script]).stdout(Stdio::null());
        let mut measured = processes::measure(&mut command, self.items)?;
        measured.cpu_ms_per_item.clear();
        Ok(measured)
    }
}
