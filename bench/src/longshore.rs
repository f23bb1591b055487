//! A Longshore of our own: its servers started, its commands run, its processes looked at.

use std::{
    fmt, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use longshore_local::{RuntimeDir, Word};

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

/// How a coordinator is reached by its worker and its callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// By its socket.
    Socket,
    /// By its port on loopback, with its token.
    Port,
    /// By TLS on loopback, as a member and as a person.
    Tls,
}

impl Entry {
    /// Each of them.
    pub const ALL: [Self; 3] = [Self::Socket, Self::Port, Self::Tls];
}

/// For the names of rows.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Socket => "the socket",
            Self::Port => "the port, with a token",
            Self::Tls => "TLS",
        })
    }
}

/// Servers that run until this is dropped, and what is asked of them.
pub struct Longshore {
    binary: PathBuf,
    work: Work,
    address: String,
    /// The file of the token that its callers show.
    token: Option<PathBuf>,
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
        ours.address = ours.start("up", up.arg("--listen").arg("127.0.0.1:0"), 1)?.remove(0);
        Ok(ours)
    }

    /// `longshore coordinator` and `longshore worker`, which speak with each other as the two halves of `up` do.
    pub fn apart(setup: &Setup, work: Work) -> Result<Self> {
        Self::apart_by(Entry::Socket, setup, work)
    }

    /// The same, with everybody coming in by this.
    pub fn apart_by(entry: Entry, setup: &Setup, work: Work) -> Result<Self> {
        let mut ours = Self::coordinator(entry, setup, work)?;
        let token = match entry {
            Entry::Tls => Some(ours.token_of_worker()?),
            Entry::Socket | Entry::Port => ours.token.clone(),
        };
        ours.add_worker("worker", token.as_deref(), setup)?;
        Ok(ours)
    }

    /// A coordinator whose callers come in by this, and no worker.
    pub fn coordinator(entry: Entry, setup: &Setup, work: Work) -> Result<Self> {
        let mut ours = Self::nothing(setup, work)?;
        let mut coordinator = Command::new(&ours.binary);
        coordinator.args(["coordinator", "--listen", "127.0.0.1:0", "--listen", "tls://127.0.0.1:0", "--data"]);
        let addresses = ours.start("coordinator", coordinator.arg(ours.data()), 2)?;
        let [local, secure] = addresses.try_into().map_err(|_| anyhow::anyhow!("two addresses were asked for"))?;
        ours.address = local;
        match entry {
            Entry::Socket => {}
            Entry::Port => {
                let address = ours.address.trim_start_matches("http://").parse()?;
                let mut left = RuntimeDir::all().map(|dir| dir.path().join(Word::token(address)));
                ours.token = Some(left.find(|token| token.is_file()).context("the coordinator has left no token")?);
            }
            Entry::Tls => {
                ours.token = Some(ours.token_of_person()?);
                ours.address = secure;
            }
        }
        Ok(ours)
    }

    /// A token for a person who may do everything.
    pub fn token_of_person(&self) -> Result<PathBuf> {
        self.say("person", &["token", "create", "--role", "admin"])
    }

    /// A token with which one worker may join.
    pub fn token_of_worker(&self) -> Result<PathBuf> {
        self.say("join", &["worker", "token", "create"])
    }

    /// Starts a worker in a directory of this name.
    pub fn add_worker(&mut self, name: &'static str, token: Option<&Path>, setup: &Setup) -> Result<()> {
        let mut worker = Command::new(&self.binary);
        worker.args(["worker", "--slots", &setup.slots.to_string(), "--join", &self.address]);
        worker.arg("--data").arg(self.data().join(name));
        if let Some(token) = token {
            worker.arg("--token-file").arg(token);
        }
        self.spawn(name, &mut worker).map(|_| ())
    }

    /// What a command says, in a file.
    fn say(&self, file: &str, words: &[&str]) -> Result<PathBuf> {
        let mut command = self.command();
        let output = command.args(words).output()?;
        processes::ensure_success(&command, output.status)?;
        let path = self.room().join(file);
        fs::write(&path, output.stdout)?;
        Ok(path)
    }

    fn nothing(setup: &Setup, work: Work) -> Result<Self> {
        let (binary, dir) = (setup.longshore()?, setup.dir()?);
        Ok(Self {
            binary,
            work,
            address: String::new(),
            token: None,
            servers: Vec::new(),
            jobs: AtomicUsize::new(0),
            dir,
        })
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The command of a server with slots.
    fn server(&self, name: &str, setup: &Setup) -> Command {
        let mut command = Command::new(&self.binary);
        command.args([name, "--slots", &setup.slots.to_string(), "--data"]).arg(self.data());
        command
    }

    /// Starts a server that says so many addresses; answers them.
    fn start(&mut self, name: &'static str, command: &mut Command, addresses: usize) -> Result<Vec<String>> {
        let process = self.spawn(name, command.stdout(Stdio::piped()))?;
        let stdout = process.stdout.take().context("no standard output")?;
        let said = BufReader::new(stdout).lines().take(addresses).collect::<Result<Vec<_>, _>>()?;
        if said.len() < addresses {
            bail!("`longshore {name}` has ended before it was ready; try it by hand");
        }
        Ok(said)
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
        if let Some(token) = &self.token {
            command.arg("--token-file").arg(token);
        }
        command
    }

    /// The file of the token that callers show, where they need one.
    pub fn token(&self) -> Option<&Path> {
        self.token.as_deref()
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
