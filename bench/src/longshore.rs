//! A Longshore of our own: its servers started, its commands run, its processes looked at.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, bail};

use crate::{
    containers::Container,
    processes::{self, Usage},
    run::Run,
    setup::Setup,
};

/// Items of the job that warms the slots: enough for every slot to get some.
const WARM_UP: usize = 100;

/// What every item of a Longshore of ours is given to.
#[derive(Debug, Clone, Default)]
pub struct Work {
    /// The image.
    pub image: String,
    /// The command, with placeholders.
    pub command: Vec<String>,
    /// Whether the command is a server that stays up.
    pub is_server: bool,
}

impl Work {
    /// A command run afresh for every item.
    pub fn command(image: &str, command: &[&str]) -> Self {
        Self { image: image.to_owned(), command: command.iter().map(ToString::to_string).collect(), is_server: false }
    }
}

/// Servers that run until this is dropped, and what is asked of them.
pub struct Longshore {
    binary: PathBuf,
    work: Work,
    address: String,
    servers: Vec<Server>,
    /// Jobs so far.
    jobs: AtomicUsize,
    /// Everything of theirs, and room for inputs and outputs beside.
    dir: tempfile::TempDir,
}

/// One process.
struct Server {
    name: &'static str,
    process: Child,
}

impl Longshore {
    /// `longshore up`.
    pub fn up(setup: &Setup, work: Work) -> Result<Self> {
        let mut ours = Self::nothing(setup, work)?;
        let mut up = ours.server("up", setup);
        ours.address = ours.start("up", up.arg("--listen").arg("127.0.0.1:0"))?;
        Ok(ours)
    }

    /// `longshore coordinator` and `longshore worker`, which speak with each other as the two halves of `up` do.
    pub fn apart(setup: &Setup, work: Work) -> Result<Self> {
        let mut ours = Self::nothing(setup, work)?;
        let mut coordinator = Command::new(&ours.binary);
        coordinator.args(["coordinator", "--listen", "127.0.0.1:0", "--data"]).arg(ours.data());
        ours.address = ours.start("coordinator", &mut coordinator)?;
        let mut worker = ours.server("worker", setup);
        worker.args(["--join", &ours.address]);
        ours.spawn("worker", &mut worker)?;
        Ok(ours)
    }

    fn nothing(setup: &Setup, work: Work) -> Result<Self> {
        let (binary, dir) = (setup.longshore()?, setup.dir()?);
        Ok(Self { binary, work, address: String::new(), servers: Vec::new(), jobs: AtomicUsize::new(0), dir })
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The command of a server with slots.
    fn server(&self, name: &str, setup: &Setup) -> Command {
        let mut command = Command::new(&self.binary);
        let data = if name == "worker" { self.data().join("worker") } else { self.data() };
        command.args([name, "--slots", &setup.slots.to_string(), "--data"]).arg(data);
        command
    }

    /// Starts a server that says its address; answers it.
    fn start(&mut self, name: &'static str, command: &mut Command) -> Result<String> {
        let process = self.spawn(name, command.stdout(Stdio::piped()))?;
        let stdout = process.stdout.take().context("no standard output")?;
        let mut address = String::new();
        BufReader::new(stdout).read_line(&mut address)?;
        if address.is_empty() {
            bail!("`longshore {name}` has ended before it was ready; try it by hand");
        }
        Ok(address.trim().to_owned())
    }

    fn spawn(&mut self, name: &'static str, command: &mut Command) -> Result<&mut Child> {
        let process = command.stderr(Stdio::null()).spawn().with_context(|| format!("cannot run {command:?}"))?;
        self.servers.push(Server { name, process });
        Ok(&mut self.servers.last_mut().context("a server was just added")?.process)
    }

    /// What items are given to.
    pub fn work(&self) -> &Work {
        &self.work
    }

    /// Where the coordinator listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A directory beside the servers' own.
    pub fn room(&self) -> &Path {
        self.dir.path()
    }

    /// A command to this coordinator.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(["--addr", &self.address]);
        command
    }

    /// `longshore run` over inputs; its whole time and the processor time of the command itself.
    pub fn job(&self, inputs: &Path) -> Result<(Duration, Duration)> {
        // A directory of its own: a removal just before would burden file systems that put off part of the work.
        let out = self.room().join(format!("out-{}", self.jobs.fetch_add(1, Ordering::Relaxed)));
        let mut run = self.command();
        run.args(["run", "-q", "--interface", if self.work.is_server { "http" } else { "files" }]);
        run.arg(&self.work.image).arg(inputs).arg("-o").arg(&out).arg("--").args(&self.work.command);
        processes::measure(run.stdout(Stdio::null()))
    }

    /// A job of tiny items, after which containers are started and warm.
    pub fn warm_up(&self) -> Result<()> {
        let inputs = self.room().join("warm-up");
        if !inputs.exists() {
            make_inputs(&inputs, WARM_UP)?;
        }
        self.job(&inputs).map(|_| ())
    }

    /// How long the last job took, by its own account: from its acknowledgement to its last commit.
    pub fn last_job(&self) -> Result<Duration> {
        let mut show = self.command();
        show.args(["--format", "json", "job", "show", "last"]);
        let output = show.output()?;
        processes::ensure_success(&show, output.status)?;
        let job: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        let seconds = job["took_s"].as_f64().context("`job show` does not say how long the job took")?;
        Ok(Duration::from_secs_f64(seconds))
    }

    /// The worker's containers that run now.
    pub fn containers(&self) -> Result<Vec<Container>> {
        let id = self.data().join("worker/worker-id");
        let id = fs::read_to_string(&id).with_context(|| format!("cannot read {}", id.display()))?;
        Container::labelled(&format!("longshore.worker={}", id.trim()))
    }

    /// The servers' processes, by name.
    pub fn servers(&self) -> impl Iterator<Item = (&'static str, u32)> {
        self.servers.iter().map(|server| (server.name, server.process.id()))
    }

    /// What everything used so far: servers, shims, and users' processes.
    pub fn look(&self) -> Result<Look> {
        let servers = self.servers().map(|(name, pid)| Ok((name, processes::of(pid)?))).collect::<Result<_>>()?;
        let mut look = Look { servers, ..Look::default() };
        for container in self.containers()? {
            let shim = processes::of(container.pid)?;
            look.shims.own += shim.own;
            look.shims.peak_kib += shim.peak_kib;
            look.users += container.cpu()?.saturating_sub(shim.own);
            look.containers.push(container);
        }
        Ok(look)
    }
}

impl Drop for Longshore {
    fn drop(&mut self) {
        // The worker leaves first, so that the coordinator need not wait for it.
        for server in self.servers.iter_mut().rev() {
            let pid = rustix::process::Pid::from_child(&server.process);
            // It may have ended already.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            let _ = server.process.wait();
        }
    }
}

/// What everything used up to a moment.
#[derive(Debug, Default)]
pub struct Look {
    servers: Vec<(&'static str, Usage)>,
    /// Process 1 of each container.
    shims: Usage,
    /// Everything else in the containers: from fork to exit.
    users: Duration,
    containers: Vec<Container>,
}

impl Look {
    /// Writes down what so many items used since an earlier look. Where containers came or went in between, theirs is
    /// not known and left out.
    pub fn account(&self, before: &Look, items: usize, mut run: Run) -> Run {
        for ((name, now), (_, then)) in self.servers.iter().zip(&before.servers) {
            run = run.with_cpu(name, now.own.saturating_sub(then.own), items).with_peak(name, now.peak_kib);
        }
        if self.containers.is_empty() || self.containers != before.containers {
            return run;
        }
        run.with_cpu("shims", self.shims.own.saturating_sub(before.shims.own), items)
            .with_cpu("users", self.users.saturating_sub(before.users), items)
            .with_peak("shims", self.shims.peak_kib)
    }
}

/// A directory of tiny files, each different.
pub fn make_inputs(dir: &Path, items: usize) -> Result<()> {
    fs::create_dir(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    for item in 0..items {
        fs::write(dir.join(format!("{item:06}")), item.to_string())?;
    }
    Ok(())
}
