//! One life of the coordinator's process.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use longshore_proto::v1::{ListJobsRequest, jobs_client::JobsClient};
use longshore_way::{Way, Wire};
use tonic::transport::Endpoint;

/// A coordinator that answers.
pub struct Server {
    child: Child,
    address: String,
    wire: Wire,
    _stdout: BufReader<ChildStdout>,
}

impl Server {
    /// Starts one on a data directory; says how long it took until it answered about its jobs.
    pub async fn start(binary: &Path, dir: &Path) -> Result<(Self, Duration)> {
        let started = Instant::now();
        let mut child = Command::new(binary)
            .args(["coordinator", "--listen", "127.0.0.1:0", "--data"])
            .arg(dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot run {}", binary.display()))?;
        let mut stdout = BufReader::new(child.stdout.take().context("no standard output")?);
        let mut address = String::new();
        stdout.read_line(&mut address)?;
        ensure!(!address.is_empty(), "`longshore coordinator` has ended before it was ready; try it by hand");
        let address = address.trim().to_owned();
        let wire = connect(&address).await?;
        let server = Self { child, address, wire, _stdout: stdout };
        JobsClient::new(server.wire()).list(ListJobsRequest::default()).await?;
        Ok((server, started.elapsed()))
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A connection that is up.
    pub fn wire(&self) -> Wire {
        self.wire.clone()
    }

    /// A connection of one's own.
    pub async fn connect(&self) -> Result<Wire> {
        connect(&self.address).await
    }

    /// Its resident set now.
    pub fn resident_bytes(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: u64 = line.and_then(|line| line.split_whitespace().next()?.parse().ok()).context("no VmRSS")?;
        Ok(kib << 10)
    }

    /// Stops it and waits until it is gone.
    pub fn stop(mut self) -> Result<()> {
        self.terminate();
        let status = self.child.wait()?;
        ensure!(status.success(), "the coordinator ended with {status}");
        Ok(())
    }

    fn terminate(&self) {
        // It may have ended already.
        let _ =
            rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), rustix::process::Signal::TERM);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.terminate();
            let _ = self.child.wait();
        }
    }
}

/// As a worker connects.
async fn connect(address: &str) -> Result<Wire> {
    let set_up =
        |endpoint: Endpoint| endpoint.initial_stream_window_size(1 << 20).initial_connection_window_size(8 << 20);
    Ok(Wire::connect(&Way::to(address, None)?, set_up).await?)
}

/// Bytes that the files below a directory take on the disk.
pub fn disk_bytes(dir: &Path) -> Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut bytes = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { disk_bytes(&entry.path())? } else { metadata.blocks() * 512 };
    }
    Ok(bytes)
}
