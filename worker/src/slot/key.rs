//! What a warm slot is for: attempts whose containers would be the same may share one.

use std::sync::Arc;

use longshore_proto::v1::{Container, Interface, Isolation, Stage};

use crate::work::Work;

/// Largest single output when a stage does not say: 1 GiB.
const DEFAULT_MAX_OUTPUT_BYTES: u64 = 1 << 30;

/// Everything of a stage that a started container cannot change any more. The command is not part of it, since it is
/// run afresh for each item, unless the container holds a server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// Whose: a container that one namespace's items ran in is for no other's.
    namespace: Arc<str>,
    image: String,
    env: Vec<(String, String)>,
    user: String,
    network: String,
    cpu_milli: u32,
    memory_bytes: u64,
    max_output_bytes: u64,
    /// A new container for each item.
    pub(crate) fresh: bool,
    server: Option<Server>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Server {
    entrypoint: Vec<String>,
    command: Vec<String>,
    port: u32,
    /// A server is told it when it starts.
    job_name: String,
}

impl Key {
    /// The key of a stage's attempts, in a job of this namespace and name.
    pub(crate) fn of(stage: &Stage, namespace: &Arc<str>, job_name: &str) -> Self {
        let container = stage.container.clone().unwrap_or_default();
        let server = (container.interface() == Interface::Http).then(|| Server {
            entrypoint: container.entrypoint.clone(),
            command: container.command.clone(),
            port: container.port,
            job_name: job_name.to_owned(),
        });
        Self {
            namespace: Arc::clone(namespace),
            env: container.env.into_iter().map(|var| (var.name, var.value)).collect(),
            image: container.image,
            user: container.user,
            network: container.network,
            cpu_milli: container.cpu_milli,
            memory_bytes: container.memory_bytes,
            max_output_bytes: max_output_bytes(stage),
            fresh: stage.isolation() == Isolation::Container,
            server,
        }
    }

    /// Whether the container holds a server that stays up.
    pub(crate) fn is_server(&self) -> bool {
        self.server.is_some()
    }
}

/// Largest single output file of a stage, in bytes.
pub(crate) fn max_output_bytes(stage: &Stage) -> u64 {
    match stage.max_output_bytes {
        0 => DEFAULT_MAX_OUTPUT_BYTES,
        bytes => bytes,
    }
}

/// The stage's container.
pub(crate) fn container(stage: &Stage) -> Container {
    stage.container.clone().unwrap_or_default()
}

/// Finds the key of a stage; remembers the last one, since attempts of one stage come together.
#[derive(Default)]
pub(crate) struct Keys {
    last: Option<(Arc<Stage>, Arc<Key>)>,
}

impl Keys {
    /// The key of an attempt. A stage is of one job.
    pub(crate) fn of(&mut self, work: &Work) -> Arc<Key> {
        let stage = &work.stage;
        if let Some((last, key)) = &self.last
            && Arc::ptr_eq(last, stage)
        {
            return Arc::clone(key);
        }
        let key = Arc::new(Key::of(stage, &work.namespace, &work.job_name));
        self.last = Some((Arc::clone(stage), Arc::clone(&key)));
        key
    }
}
