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

use super::{
    binary::Place,
    cli::{Ran, Running},
    docker::{Engine, Found},
    image::{self, Image},
    traces,
};
use crate::network::Network;

/// A directory, a runtime, and what has been started there. Dropped, it checks that nothing is left behind.
pub struct TestEnv {
    place: Place,
    logs: AtomicUsize,
    docker: Option<(&'static Engine, Arc<Image>)>,
}

impl TestEnv {
    /// With the process runtime.
    ///
    /// # Panics
    /// When there is no room for a directory.
    pub fn process() -> Self {
        let place = Place { dir: tempfile::tempdir().unwrap(), net: None };
        Self { place, logs: AtomicUsize::new(0), docker: None }
    }

    /// With Docker and an image of the host's programs; `None` where no Docker answers.
    ///
    /// # Panics
    /// When none does and `LONGSHORE_REQUIRE_DOCKER=1`.
    pub fn docker() -> Option<Self> {
        Self::docker_with(image::host)
    }

    /// With Docker and an image that has a program of ours too, at [`PROGRAM`](super::PROGRAM).
    pub fn docker_with_program(program: &Path) -> Option<Self> {
        Self::docker_with_changed(program, &[])
    }

    /// The same, with an image that is changed by instructions such as `USER app`.
    pub fn docker_with_changed(program: &Path, changes: &[&str]) -> Option<Self> {
        Self::docker_with(|engine| image::with_program(engine, program, changes))
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
        self.place.dir.path()
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// The same on another network.
    #[must_use]
    pub fn moved_into(mut self, net: Network) -> Self {
        self.place.net = Some(net);
        self
    }

    /// Types a command for which no coordinator is needed.
    #[track_caller]
    pub fn cli<S: AsRef<OsStr>>(&self, args: &[S]) -> Ran {
        self.cli_with(&[], args)
    }

    /// The same with variables set.
    #[track_caller]
    pub fn cli_with<S: AsRef<OsStr>>(&self, variables: &[(&str, &str)], args: &[S]) -> Ran {
        Running::start(&self.place, variables, args, None).ended()
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
