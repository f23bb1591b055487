//! The Docker Engine, looked at past the code under test.

use std::{collections::HashMap, sync::OnceLock};

use bollard::{
    Docker, body_full,
    query_parameters::{
        CreateImageOptionsBuilder, InspectContainerOptions, KillContainerOptions, ListContainersOptionsBuilder,
        RemoveContainerOptionsBuilder, RemoveImageOptions,
    },
};
use futures_util::TryStreamExt;
use tokio::runtime::{Builder, Runtime};

/// The engine of this machine.
pub struct Engine {
    runtime: Runtime,
    docker: Docker,
}

/// A container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its id.
    pub id: String,
    /// What it is for: `slot`, `leaf` or `merge`.
    pub role: String,
    /// Whether it runs.
    pub running: bool,
}

impl Engine {
    /// The engine, if one answers.
    ///
    /// # Panics
    /// When none does and `LONGSHORE_REQUIRE_DOCKER=1`.
    pub fn get() -> Option<&'static Self> {
        static ENGINE: OnceLock<Result<Engine, String>> = OnceLock::new();
        let required = std::env::var_os("LONGSHORE_REQUIRE_DOCKER").is_some_and(|value| value == "1");
        match ENGINE.get_or_init(Self::connect) {
            Ok(engine) => Some(engine),
            Err(error) if required => panic!("no Docker answers: {error}"),
            Err(error) => {
                eprintln!("skipped, as no Docker answers (LONGSHORE_REQUIRE_DOCKER=1 makes this a failure): {error}");
                None
            }
        }
    }

    fn connect() -> Result<Self, String> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let docker = runtime.block_on(async { Docker::connect_with_defaults()?.negotiate_version().await });
        docker.map(|docker| Self { runtime, docker }).map_err(|error| error.to_string())
    }

    /// Every container that carries the label of this worker, in whatever state.
    ///
    /// # Panics
    /// When the engine does not answer.
    pub fn containers_of(&self, worker: &str) -> Vec<Found> {
        let filters = HashMap::from([("label", vec![format!("longshore.worker={worker}")])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let found = self.runtime.block_on(self.docker.list_containers(Some(options))).unwrap();
        let seen = found.into_iter().map(|container| Found {
            id: container.id.unwrap_or_default(),
            role: container.labels.unwrap_or_default().remove("longshore.role").unwrap_or_default(),
            running: container.state.is_some_and(|state| state.to_string() == "running"),
        });
        seen.collect()
    }

    /// All that the engine shows of a container, as JSON; nothing of one that is gone.
    ///
    /// # Panics
    /// Never: what the engine says is JSON.
    pub fn inspect(&self, id: &str) -> String {
        let shown = self.runtime.block_on(self.docker.inspect_container(id, None::<InspectContainerOptions>));
        shown.map_or_else(|_| String::new(), |shown| serde_json::to_string(&shown).unwrap())
    }

    /// Freezes a container.
    ///
    /// # Panics
    /// When it cannot be.
    pub fn pause(&self, id: &str) {
        self.runtime.block_on(self.docker.pause_container(id)).unwrap();
    }

    /// Has a frozen container go on.
    ///
    /// # Panics
    /// When it cannot.
    pub fn unpause(&self, id: &str) {
        self.runtime.block_on(self.docker.unpause_container(id)).unwrap();
    }

    /// Kills a container as a stranger on this machine would.
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill(&self, id: &str) {
        self.runtime.block_on(self.docker.kill_container(id, None::<KillContainerOptions>)).unwrap();
    }

    /// Removes a container, if it is there.
    pub fn remove(&self, id: &str) {
        let options = RemoveContainerOptionsBuilder::new().force(true).build();
        let _ = self.runtime.block_on(self.docker.remove_container(id, Some(options)));
    }

    /// Makes an image of a root directory.
    pub(super) fn import(&self, repository: &str, tag: &str, root: Vec<u8>, changes: &[&str]) {
        let mut options = CreateImageOptionsBuilder::new().from_src("-").repo(repository).tag(tag).build();
        let label = "LABEL longshore=test";
        options.changes = [label].iter().chain(changes).map(|&change| change.to_owned()).collect();
        let made = self.docker.create_image(Some(options), Some(body_full(root.into())), None);
        self.runtime.block_on(made.try_for_each(|_progress| async { Ok(()) })).unwrap();
    }

    pub(super) fn remove_image(&self, reference: &str) {
        let removed = self.docker.remove_image(reference, None::<RemoveImageOptions>, None);
        if let Err(error) = self.runtime.block_on(removed) {
            eprintln!("{reference}: {error}");
        }
    }
}
