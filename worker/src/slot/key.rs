//! What a warm slot is for: attempts whose containers would be the same may share one.

use std::sync::Arc;

use bytes::Bytes;
use longshore_proto::v1::{Container, Interface, Isolation, Stage};

use crate::work::{Secrets, Work};

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
    workdir: String,
    writable_root: bool,
    /// What it asks for of the machine: processors, processes, memory, `/dev/shm`, temporary space.
    machine: (u32, u32, u64, u64, u64),
    /// What its runs may leave: a file, all of them, how many. They are granted with the container.
    outputs: (u64, u64, u32),
    /// What was sent along: path, digest, and whether it is a program.
    files: Vec<(String, Bytes, bool)>,
    /// A new container for each item.
    pub(crate) fresh: bool,
    server: Option<Server>,
    /// Names and versions, never values: what has been told one version is for no other.
    secrets: Vec<(String, u64)>,
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
    pub(crate) fn of(stage: &Stage, namespace: &Arc<str>, job_name: &str, secrets: &Secrets) -> Self {
        let container = stage.container.clone().unwrap_or_default();
        let server = (container.interface() == Interface::Http).then(|| Server {
            entrypoint: container.entrypoint.clone(),
            command: container.command.clone(),
            port: container.port,
            job_name: job_name.to_owned(),
        });
        Self {
            namespace: Arc::clone(namespace),
            files: container.files.into_iter().map(|file| (file.path, file.digest, file.executable)).collect(),
            env: container.env.into_iter().map(|var| (var.name, var.value)).collect(),
            image: container.image,
            user: container.user,
            network: container.network,
            workdir: container.workdir,
            machine: (
                container.cpu_milli,
                container.pids_limit,
                container.memory_bytes,
                container.shm_bytes,
                container.tmp_bytes,
            ),
            outputs: (stage.max_output_bytes, stage.max_total_output_bytes, stage.max_output_files),
            writable_root: container.writable_root,
            // What one item writes over the image is not for another.
            fresh: stage.isolation() == Isolation::Container || (container.writable_root && server.is_none()),
            server,
            secrets: secrets.versions(),
        }
    }

    /// Whether the container holds a server that stays up.
    pub(crate) fn is_server(&self) -> bool {
        self.server.is_some()
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
        let key = Arc::new(Key::of(stage, &work.namespace, &work.job_name, &work.secrets));
        self.last = Some((Arc::clone(stage), Arc::clone(&key)));
        key
    }
}
