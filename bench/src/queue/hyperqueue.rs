//! HyperQueue with its journal on, one worker, an array of `/bin/true`.
//!
//! It listens on every address of the machine, so it is given a network namespace of its own, with nothing but a
//! loopback in it. That takes root.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::flags::QueueArgs;
use crate::{
    contender::Contender,
    processes,
    run::{Run, count},
};

/// Longest wait for its server.
const READY: Duration = Duration::from_secs(10);

/// Tasks before the first measured run.
const WARM_UP: usize = 100;

/// HyperQueue's command, and its servers once they run.
pub struct HyperQueue {
    hq: Option<PathBuf>,
    slots: usize,
    items: usize,
    running: Option<Running>,
}

struct Running {
    hq: PathBuf,
    dir: tempfile::TempDir,
    server: Child,
    worker: Option<Child>,
}

impl HyperQueue {
    /// With as many processors as slots.
    pub fn new(args: &QueueArgs) -> Self {
        Self { hq: args.hq.clone(), slots: args.setup.slots, items: args.items, running: None }
    }
}

impl Running {
    fn start(hq: PathBuf, slots: usize) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let mut server = Command::new("unshare");
        // The loopback of a new namespace is down.
        server.args(["--net", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh"]).arg(&hq);
        server.arg("--server-dir").arg(dir.path()).args(["server", "start", "--host", "127.0.0.1", "--journal"]);
        server.arg(dir.path().join("journal")).stdout(Stdio::null()).stderr(Stdio::null());
        let server = server.spawn().context("cannot run unshare")?;
        let mut running = Self { hq, dir, server, worker: None };
        running.await_server()?;
        let slots = format!("--cpus={slots}");
        running.worker = Some(running.command().args(["worker", "start", &slots]).spawn()?);
        running.array(WARM_UP)?;
        Ok(running)
    }

    fn await_server(&self) -> Result<()> {
        let begun = Instant::now();
        while !self.command().args(["server", "info"]).status()?.success() {
            if begun.elapsed() > READY {
                bail!("its server does not answer; as root, try `{} server start` by hand", self.hq.display());
            }
            thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// A command in the server's network namespace.
    fn command(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.server.id())).arg(&self.hq);
        command.arg("--server-dir").arg(self.dir.path()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Submits an array and waits for all of it; time, and processor time of the client.
    fn array(&self, items: usize) -> Result<(Duration, Duration)> {
        let array = format!("--array=1-{items}");
        let mut submit = self.command();
        processes::measure(submit.args(["submit", "--wait", "--stdout=none", "--stderr=none", &array, "/bin/true"]))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for child in self.worker.iter_mut().chain([&mut self.server]) {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Contender for HyperQueue {
    fn name(&self) -> String {
        "HyperQueue, journal on, bare processes".to_owned()
    }

    fn does(&self) -> String {
        "hq submit --wait --array of /bin/true; one worker; the journal is synced every 30 s".to_owned()
    }

    fn start(&mut self) -> Result<()> {
        let hq = self
            .hq
            .clone()
            .context("give its command with --hq; binaries are with its releases, or build its sources with cargo")?;
        self.running = Some(Running::start(hq, self.slots)?);
        Ok(())
    }

    fn run(&mut self) -> Result<Run> {
        let running = self.running.as_ref().context("not started")?;
        let (server, worker) = (running.server.id(), running.worker.as_ref().context("no worker")?.id());
        let before = (processes::of(server)?, processes::of(worker)?);
        let (wall, client) = running.array(self.items)?;
        let after = (processes::of(server)?, processes::of(worker)?);
        Ok(Run::rate("items/s", count(self.items), wall)
            .with_cpu("server", after.0.own.saturating_sub(before.0.own), self.items)
            .with_cpu("worker", after.1.own.saturating_sub(before.1.own), self.items)
            .with_cpu("users", after.1.children.saturating_sub(before.1.children), self.items)
            .with_cpu("client", client, self.items)
            .with_peak("server", after.0.peak_kib)
            .with_peak("worker", after.1.peak_kib))
    }
}
