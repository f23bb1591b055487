//! A Podman of the tests' own: its store, its state and its socket are in a directory that goes with it.

use std::{
    env,
    fs::{self, File},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tokio::sync::Mutex;

/// How long its service may take until it listens.
const START: Duration = Duration::from_secs(30);

/// A service that nobody uses for so many seconds ends by itself: then a test was killed.
const UNUSED: &str = "--time=120";

/// One that serves the Docker API.
pub struct Podman {
    service: Child,
    dir: TempDir,
}

static PODMAN: Mutex<Weak<Podman>> = Mutex::const_new(Weak::new());

impl Podman {
    /// The one of this process; `None`, with a line that says why, where there can be none.
    ///
    /// # Panics
    /// When one is installed and should run, but does not, and the environment insists.
    pub async fn get() -> Option<Arc<Self>> {
        let mut known = PODMAN.lock().await;
        if let Some(podman) = known.upgrade() {
            return Some(podman);
        }
        if let Some(why) = impossible() {
            eprintln!("PODMAN IS NOT TESTED: {why}");
            return None;
        }
        match Self::start() {
            Ok(podman) => {
                let podman = Arc::new(podman);
                *known = Arc::downgrade(&podman);
                Some(podman)
            }
            Err(why) if env::var_os("LONGSHORE_REQUIRE_DOCKER").is_none_or(|value| value != "1") => {
                eprintln!("PODMAN IS NOT TESTED (LONGSHORE_REQUIRE_DOCKER=1 makes this a failure): {why}");
                None
            }
            Err(why) => panic!("{why}"),
        }
    }

    /// Where it listens.
    pub fn host(&self) -> String {
        self.socket().display().to_string()
    }

    fn start() -> Result<Self, String> {
        let dir = tempfile::tempdir().map_err(|cause| cause.to_string())?;
        let log = dir.path().join("log");
        let output = File::create(&log).map_err(|cause| cause.to_string())?;
        let mut command = podman(dir.path());
        command.args(["system", "service", UNUSED]).arg(format!("unix://{}", dir.path().join("podman.sock").display()));
        command.stdout(Stdio::null()).stderr(output);
        let service = command.spawn().map_err(|cause| format!("podman cannot be started: {cause}"))?;
        let mut podman = Self { service, dir };
        let begun = Instant::now();
        while UnixStream::connect(podman.socket()).is_err() {
            let ended = podman.service.try_wait().is_ok_and(|ended| ended.is_some());
            if ended || begun.elapsed() > START {
                let said = fs::read_to_string(&log).unwrap_or_default();
                return Err(format!("the service of podman does not listen; it said: {said}"));
            }
            std::thread::yield_now();
        }
        Ok(podman)
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("podman.sock")
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        // What a failed test has left.
        let left = fs::read_to_string(self.dir.path().join("root/vfs-containers/containers.json")).unwrap_or_default();
        if left.contains("\"id\"") {
            let mut clean = podman(self.dir.path());
            clean.args(["rm", "--all", "--force", "--time=0"]).stdout(Stdio::null()).stderr(Stdio::null());
            let _ = clean.status();
        }
        let _ = self.service.kill();
        let _ = self.service.wait();
    }
}

/// The command, which looks at nothing of this machine's own Podman and changes nothing of it.
fn podman(dir: &Path) -> Command {
    let mut command = Command::new("podman");
    command.arg("--root").arg(dir.join("root")).arg("--runroot").arg(dir.join("run"));
    command.arg("--tmpdir").arg(dir.join("tmp")).arg("--network-config-dir").arg(dir.join("networks"));
    command.args(["--cgroup-manager=cgroupfs", "--storage-driver=vfs", "--events-backend=none", "--log-level=error"]);
    command.env("HOME", dir).env_remove("CONTAINER_HOST").env_remove("CONTAINERS_CONF").stdin(Stdio::null());
    command
}

/// Why this machine cannot have one, if it cannot.
fn impossible() -> Option<&'static str> {
    if Command::new("podman").arg("--version").stdout(Stdio::null()).status().is_err() {
        return Some("it is not installed; on Debian: apt-get install podman");
    }
    // Without root it depends on ranges of users and control groups that an administrator has to give.
    (!rustix::process::geteuid().is_root()).then_some("only root can start one that is apart from the machine's own")
}
