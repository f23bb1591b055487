//! One test's part of the machine.

use std::{
    ffi::OsStr,
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use rustix::process::geteuid;
use tempfile::TempDir;

use super::{
    cli::{Ran, Running},
    docker::{Engine, Found},
    image::{self, Image},
    server::Server,
    stranger::Stranger,
    traces,
};

/// A directory, a runtime, and what has been started there. Dropped, it checks that nothing is left behind.
pub struct TestEnv {
    dir: TempDir,
    logs: AtomicUsize,
    docker: Option<(&'static Engine, Arc<Image>)>,
}

impl TestEnv {
    /// With the process runtime.
    ///
    /// # Panics
    /// When there is no room for a directory.
    pub fn process() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), logs: AtomicUsize::new(0), docker: None }
    }

    /// With Docker and an image of the host's programs; `None` where no Docker answers.
    ///
    /// # Panics
    /// When none does and `LONGSHORE_REQUIRE_DOCKER=1`.
    pub fn docker() -> Option<Self> {
        Self::docker_with(image::host)
    }

    /// With Docker and an image that has a server's program too, at [`SERVER`](super::SERVER).
    pub fn docker_with_server(server: &Path) -> Option<Self> {
        Self::docker_with(|engine| image::with_server(engine, server))
    }

    /// With Docker and an image in which only `cat` is.
    pub fn docker_without_shell() -> Option<Self> {
        Self::docker_with(image::only_cat)
    }

    fn docker_with(image: impl FnOnce(&Engine) -> Arc<Image>) -> Option<Self> {
        let engine = Engine::get()?;
        let mut env = Self::process();
        env.docker = Some((engine, image(engine)));
        Some(env)
    }

    /// The image to run; with the process runtime any name will do.
    pub fn image(&self) -> &str {
        self.docker.as_ref().map_or("host", |(_, image)| &image.reference)
    }

    /// Whether containers are containers here.
    pub fn has_docker(&self) -> bool {
        self.docker.is_some()
    }

    /// The engine.
    ///
    /// # Panics
    /// With the process runtime.
    pub fn engine(&self) -> &'static Engine {
        self.docker.as_ref().unwrap().0
    }

    /// Its directory, where every command is typed.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Types a command for which no coordinator is needed.
    #[track_caller]
    pub fn cli<S: AsRef<OsStr>>(&self, args: &[S]) -> Ran {
        self.cli_with(&[], args)
    }

    /// The same with variables set.
    #[track_caller]
    pub fn cli_with<S: AsRef<OsStr>>(&self, variables: &[(&str, &str)], args: &[S]) -> Ran {
        Running::start(self.dir(), variables, args, None).ended()
    }

    /// `longshore up` with two slots, in the directory `data`.
    pub fn up(&self) -> Server<'_> {
        let mut args = words(&["up", "--data", "data", "--listen", "127.0.0.1:0", "--slots", "2"]);
        args.extend(self.runtime());
        Server::listening(self, &args)
    }

    /// The same with more flags.
    pub fn up_with(&self, flags: &[&str]) -> Server<'_> {
        let mut args = words(&["up", "--data", "data", "--listen", "127.0.0.1:0", "--slots", "2"]);
        args.extend(self.runtime());
        args.extend(words(flags));
        Server::listening(self, &args)
    }

    /// The same, with what a shell does first: `umask 000`, `ulimit -n 200`.
    pub fn up_after(&self, shell: &str) -> Server<'_> {
        let mut args = words(&["up", "--data", "above/data", "--listen", "127.0.0.1:0", "--slots", "2"]);
        args.extend(self.runtime());
        Server::listening_after(self, shell, &args)
    }

    /// `longshore coordinator`, in the directory `coordinator`. The port is the system's to choose.
    pub fn coordinator(&self) -> Server<'_> {
        self.coordinator_at("127.0.0.1:0")
    }

    /// The same with another directory, that of an `up` perhaps, and more flags.
    pub fn coordinator_on(&self, data: &str, flags: &[&str]) -> Server<'_> {
        let mut args = words(&["coordinator", "--data", data, "--listen", "127.0.0.1:0"]);
        args.extend(words(flags));
        Server::listening(self, &args)
    }

    /// The same with a directory and at a known address: where it was before, so that workers find it again.
    pub fn coordinator_again(&self, data: &str, address: &str) -> Server<'_> {
        let listen = address.trim_start_matches("http://");
        Server::listening(self, &words(&["coordinator", "--data", data, "--listen", listen]))
    }

    /// The same at a known address: where it was before, so that workers find it again.
    pub fn coordinator_at(&self, address: &str) -> Server<'_> {
        self.coordinator_again("coordinator", address)
    }

    /// `longshore worker --join`, with one slot, in a directory of its name.
    pub fn worker(&self, name: &str, coordinator: &Server) -> Server<'_> {
        let join = coordinator.address.clone();
        let mut args = words(&["worker", "--join", &join, "--data", name, "--name", name, "--slots", "1"]);
        args.extend(self.runtime());
        Server::start(self, &args, join)
    }

    /// The same by the port, with the token in a file.
    pub fn worker_with_token(&self, name: &str, coordinator: &Server, file: &str) -> Server<'_> {
        let join = coordinator.address.clone();
        let mut args = words(&["worker", "--join", &join, "--data", name, "--name", name, "--slots", "1"]);
        args.extend(words(&["--token-file", file]));
        args.extend(self.runtime());
        Server::start(self, &args, join)
    }

    /// Another user of this machine, with this number. Only root can act as one.
    ///
    /// # Panics
    /// When the disk has no room for the program.
    pub fn stranger(&self, number: u32) -> Stranger<'_> {
        Stranger::new(self, number)
    }

    fn runtime(&self) -> Vec<String> {
        match self.has_docker() {
            true => words(&["--runtime", "docker"]),
            false if geteuid().is_root() => words(&["--runtime", "process", "--allow-commands-as-root"]),
            false => words(&["--runtime", "process"]),
        }
    }

    pub(super) fn next_log(&self) -> PathBuf {
        self.dir().join(format!("server-{}.log", self.logs.fetch_add(1, Ordering::Relaxed)))
    }

    /// Every container of every worker that has lived here.
    pub fn containers(&self) -> Vec<Found> {
        let engine = self.engine();
        traces::workers_below(self.dir()).iter().flat_map(|worker| engine.containers_of(worker)).collect()
    }

    /// Every process of every worker that has lived here, on the process runtime.
    pub fn processes(&self) -> Vec<(i32, String)> {
        traces::workers_below(self.dir()).iter().flat_map(|worker| traces::processes_of(worker)).collect()
    }
}

impl fmt::Debug for TestEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestEnv").field("dir", &self.dir()).field("image", &self.image()).finish_non_exhaustive()
    }
}

impl Drop for TestEnv {
    fn drop(&mut self) {
        let engine = self.docker.as_ref().map(|(engine, _)| *engine);
        let containers = engine.map(|_| self.containers()).unwrap_or_default();
        let processes = self.processes();
        for worker in traces::workers_below(self.dir()) {
            traces::end(&worker, engine);
        }
        if !thread::panicking() {
            assert!(containers.is_empty(), "containers are left behind: {containers:#?}");
            assert!(processes.is_empty(), "processes are left behind: {processes:#?}");
        }
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}
