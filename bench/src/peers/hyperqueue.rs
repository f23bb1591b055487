//! HyperQueue: one server with its journal on, one worker, an array of `/bin/true`.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::{Measured, Peer};
use crate::{args::QueueArgs, processes};

/// A running HyperQueue.
pub struct HyperQueue {
    hq: PathBuf,
    dir: tempfile::TempDir,
    server: Child,
    worker: Child,
    items: usize,
}

impl HyperQueue {
    /// Starts server and worker.
    pub fn start(hq: &Path, args: &QueueArgs) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let journal = dir.path().join("journal");
        let server = quiet(hq, dir.path())
            .args(["server", "start", "--journal"])
            .arg(&journal)
            .spawn()
            .with_context(|| format!("cannot run {}", hq.display()))?;
        let ready = Instant::now() + Duration::from_secs(10);
        while !quiet(hq, dir.path()).args(["server", "info"]).status()?.success() {
            if Instant::now() > ready {
                bail!("HyperQueue's server does not answer");
            }
            thread::sleep(Duration::from_millis(100));
        }
        let slots = format!("--cpus={}", args.slots);
        let worker = quiet(hq, dir.path()).args(["worker", "start", &slots]).spawn()?;
        Ok(Self { hq: hq.to_owned(), dir, server, worker, items: args.items })
    }
}

fn quiet(hq: &Path, dir: &Path) -> Command {
    let mut command = Command::new(hq);
    command.arg("--server-dir").arg(dir).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

impl Drop for HyperQueue {
    fn drop(&mut self) {
        for child in [&mut self.worker, &mut self.server] {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Peer for HyperQueue {
    fn name(&self) -> String {
        "HyperQueue, journal on, bare processes".to_owned()
    }

    fn run(&mut self) -> Result<Measured> {
        let (server, worker) = (processes::look(self.server.id())?.0, processes::look(self.worker.id())?.0);
        let array = format!("--array=1-{}", self.items);
        let mut submit = quiet(&self.hq, self.dir.path());
        submit.args(["submit", "--wait", "--stdout=none", "--stderr=none", &array, "/bin/true"]);
        let started = Instant::now();
        let status = submit.status()?;
        let wall = started.elapsed();
        processes::ensure_success(&submit, status)?;
        let (server_after, peak) = processes::look(self.server.id())?;
        let (worker_after, _) = processes::look(self.worker.id())?;
        Ok(Measured::new(self.items, wall)
            .with_cpu("server", server_after.saturating_sub(server))
            .with_cpu("worker", worker_after.saturating_sub(worker))
            .with_peak(peak))
    }
}
