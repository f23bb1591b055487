//! Ours: `longshore up` and `longshore run`, durable, outputs kept and fetched.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::{Measured, Peer};
use crate::{args::QueueArgs, processes};

/// Items before the first measured run: containers are started and warm after them.
const WARM_UP: usize = 100;

/// A running Longshore.
pub struct Longshore {
    binary: PathBuf,
    address: String,
    image: String,
    items: usize,
    dir: tempfile::TempDir,
    up: Child,
}

impl Longshore {
    /// Starts `up`, makes the inputs, and warms the slots.
    pub fn start(args: &QueueArgs, image: &str) -> Result<Self> {
        let binary = binary(args)?;
        let dir = tempfile::tempdir()?;
        let mut up = Command::new(&binary)
            .args(["up", "--listen", "127.0.0.1:0", "--slots", &args.slots.to_string(), "--data"])
            .arg(dir.path().join("data"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot run {}", binary.display()))?;
        let mut address = String::new();
        let stdout = up.stdout.take().context("no standard output")?;
        BufReader::new(stdout).read_line(&mut address)?;
        if address.is_empty() {
            bail!("`longshore up` has ended before it was ready; try it by hand");
        }
        make_inputs(&dir.path().join("warm"), WARM_UP)?;
        make_inputs(&dir.path().join("items"), args.items)?;
        let ours =
            Self { binary, address: address.trim().to_owned(), image: image.to_owned(), items: args.items, dir, up };
        ours.run_on("warm")?;
        Ok(ours)
    }

    /// One job over a directory of inputs; how long the whole command took.
    fn run_on(&self, inputs: &str) -> Result<Duration> {
        let out = self.dir.path().join("out");
        if out.exists() {
            fs::remove_dir_all(&out)?;
        }
        let mut run = Command::new(&self.binary);
        run.args(["--addr", &self.address, "run", "-q", &self.image]).arg(self.dir.path().join(inputs));
        run.arg("-o").arg(&out).args(["--", "true"]).stdout(Stdio::null());
        let started = Instant::now();
        let status = run.status()?;
        let took = started.elapsed();
        processes::ensure_success(&run, status)?;
        Ok(took)
    }

    /// How long the last job took, by its own account: from its acknowledgement to its last commit.
    fn last_job(&self) -> Result<Duration> {
        let mut show = Command::new(&self.binary);
        show.args(["--addr", &self.address, "--format", "json", "job", "show", "last"]);
        let output = show.output()?;
        processes::ensure_success(&show, output.status)?;
        let job: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        let seconds = job["took_s"].as_f64().context("`job show` does not say how long the job took")?;
        Ok(Duration::from_secs_f64(seconds))
    }
}

impl Drop for Longshore {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.up);
        // It may have ended already.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.up.wait();
    }
}

impl Peer for Longshore {
    fn name(&self) -> String {
        "longshore, durable, a container around each process".to_owned()
    }

    fn run(&mut self) -> Result<Measured> {
        let (before, _) = processes::look(self.up.id())?;
        let whole = self.run_on("items")?;
        let (after, peak) = processes::look(self.up.id())?;
        let job = self.last_job()?;
        eprintln!(
            "  submission to outputs in place: {:.2}s, of which the job {:.2}s",
            whole.as_secs_f64(),
            job.as_secs_f64()
        );
        Ok(Measured::new(self.items, job)
            .with_cpu("coordinator and worker", after.saturating_sub(before))
            .with_peak(peak))
    }
}

fn binary(args: &QueueArgs) -> Result<PathBuf> {
    let beside = || Some(std::env::current_exe().ok()?.parent()?.join("longshore"));
    let binary = args.longshore.clone().or_else(beside).context("where is longshore? say so with --longshore")?;
    if !binary.is_file() {
        bail!("{} is not there: cargo build --release -p longshore", binary.display());
    }
    Ok(binary)
}

fn make_inputs(dir: &Path, items: usize) -> Result<()> {
    fs::create_dir(dir)?;
    for item in 0..items {
        fs::write(dir.join(format!("{item:06}")), item.to_string())?;
    }
    Ok(())
}
