//! A coordinator, and workers that join it.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};

use crate::processes;

/// A running coordinator; ended when dropped.
pub struct Server {
    binary: PathBuf,
    address: String,
    running: Running,
}

/// A process that is told to end when this is dropped.
pub struct Running(Child);

impl Server {
    /// Starts one that keeps its data in `data`.
    pub fn start(binary: &Path, data: &Path) -> Result<Self> {
        let mut child = Command::new(binary)
            .args(["coordinator", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot run {}", binary.display()))?;
        let stdout = child.stdout.take().context("no standard output")?;
        let running = Running(child);
        let mut address = String::new();
        BufReader::new(stdout).read_line(&mut address)?;
        if address.is_empty() {
            bail!("`longshore coordinator` has ended before it was ready; try it by hand");
        }
        Ok(Self { binary: binary.to_owned(), address: address.trim().to_owned(), running })
    }

    /// A worker of plain processes that has joined it.
    pub fn worker(&self, data: &Path) -> Result<Running> {
        let child = Command::new(&self.binary)
            .args(["worker", "--runtime", "process", "--allow-commands-as-root", "--join", &self.address, "--data"])
            .arg(data)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Running(child))
    }

    /// A command to it, still without its verb.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(["--addr", &self.address]);
        command
    }

    /// Processor time it has used.
    pub fn cpu(&self) -> Result<Duration> {
        Ok(processes::of(self.running.0.id())?.own)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = rustix::process::kill_process(rustix::process::Pid::from_child(&self.0), rustix::process::Signal::TERM);
        let _ = self.0.wait();
    }
}
