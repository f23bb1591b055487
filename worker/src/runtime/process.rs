//! Sandboxes as plain children of the worker: the same shim, the same directories, no isolation at all.
//!
//! For trying things where no Docker is, and for fast tests; it must be asked for. Images are ignored: programs are the
//! host's. Limits, data that must not be written and `network: none` are not enforced.

mod control;
mod marked;

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use longshore_shim::{INPUTS_ENV, SCRATCH_ENV, SECRETS_ENV, SOCKET_ENV};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use tokio::process::{Child, Command};
use uuid::Uuid;

use self::{control::ProcessControl, marked::MARK_ENV};
use super::{
    Allows, Image, ImageError, ImageRequest, Paths, Runtime, RuntimeError, Sandbox, SandboxSpec, StartError,
    layout::{Layout, directory, open_directory},
    shim_link::{ReachableDirectory, ShimListener},
    users::Users,
};
use crate::shim_binary;

/// Longest time between a shim's start and its hello.
const HELLO: Duration = Duration::from_secs(30);

/// Plain children.
pub struct ProcessRuntime {
    worker: Uuid,
    /// Tells this life's processes from those of an earlier one.
    life: Uuid,
    shim: PathBuf,
    started: AtomicU64,
}

impl ProcessRuntime {
    /// A runtime for the worker of this id, which keeps the shim's file in `shim_directory`.
    ///
    /// # Errors
    /// When the shim cannot be written.
    pub fn new(worker: Uuid, shim_directory: &Path) -> io::Result<Self> {
        let shim = shim_binary::write_to(shim_directory)?;
        Ok(Self { worker, life: Uuid::new_v4(), shim, started: AtomicU64::new(0) })
    }

    async fn start_sandbox(&self, spec: &SandboxSpec) -> Result<Sandbox, StartError> {
        refuse_what_cannot_be(spec)?;
        let mark = self.mark(self.started.fetch_add(1, Ordering::Relaxed));
        let places = Places::make(spec).map_err(|cause| StartError::Engine(cause.to_string()))?;
        let listener = ShimListener::bind(&places.layout.control).map_err(engine)?;
        let words = places.layout.control.join("shim.log");
        let mut child = self
            .spawn(spec, &places, &listener, &mark, &words)
            .map_err(|cause| StartError::Engine(format!("cannot start {}: {cause}", self.shim.display())))?;
        limit_files(&child, spec.max_output_bytes.max(spec.container.tmp_bytes));
        let link = tokio::select! {
            met = tokio::time::timeout(HELLO, listener.meet()) => match met {
                Ok(met) => Arc::new(met.map_err(engine)?),
                Err(_elapsed) => return Err(StartError::Engine(format!(
                    "the shim did not say hello within {} s; the machine may be overloaded", HELLO.as_secs()
                ))),
            },
            ended = child.wait() => return Err(StartError::Engine(format!(
                "the shim ended before it said hello ({}): {}", describe(ended), control::last_words(&words)
            ))),
        };
        let paths = places.paths(spec);
        let scratch = open_directory(&places.scratch.path).map_err(engine)?;
        let control = ProcessControl::new(child, Arc::clone(&link), mark, words, places.scratch);
        let users = Arc::new(Users::Worker);
        let (temporary, first_process) = (vec![scratch], link.process());
        Ok(Sandbox { shim: Box::new(link), paths, temporary, first_process, control: Box::new(control), users })
    }

    fn mark(&self, number: u64) -> String {
        format!("{}:{}:{number}", self.worker, self.life)
    }

    /// The child is not killed when its handle is dropped: it ends, with its descendants, when the connection does, and
    /// killing it first would leave those behind.
    fn spawn(
        &self,
        spec: &SandboxSpec,
        places: &Places,
        listener: &ShimListener,
        mark: &str,
        words: &Path,
    ) -> io::Result<Child> {
        let variables = environment(spec, places, &listener.address(), mark);
        Command::new(&self.shim)
            .env_clear()
            .envs(variables)
            .current_dir(&places.scratch.path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(words)?)
            .process_group(0)
            .spawn()
    }

    async fn sweep_leftovers(&self) -> Result<usize, RuntimeError> {
        let (all, current) = (format!("{}:", self.worker), format!("{}:{}:", self.worker, self.life));
        let wanted = move |mark: &str| mark.starts_with(&all) && !mark.starts_with(&current);
        let found = control::end_marked(wanted, "ending processes of an earlier life").await?;
        Ok(found.len())
    }
}

impl Runtime for ProcessRuntime {
    fn name(&self) -> &'static str {
        "process"
    }

    /// Any reference will do.
    fn resolve<'a>(&'a self, asked: &'a ImageRequest) -> BoxFuture<'a, Result<Image, ImageError>> {
        let image = Image {
            reference: asked.reference.clone(),
            id: format!("process:{}", asked.reference),
            digest: None,
            entrypoint: Vec::new(),
            command: Vec::new(),
            names_user: false,
        };
        Box::pin(async { Ok(image) })
    }

    fn start<'a>(&'a self, spec: &'a SandboxSpec) -> BoxFuture<'a, Result<Sandbox, StartError>> {
        Box::pin(self.start_sandbox(spec))
    }

    /// Shims of an earlier life have ended by themselves, with everything below them, when that worker's sockets were
    /// closed. This is for what a shim left that was killed too.
    /// Networks are not looked at.
    fn allows(&self) -> Allows {
        Allows { networks: None, root: false, users: false, workdir: false }
    }

    fn sweep(&self) -> BoxFuture<'_, Result<usize, RuntimeError>> {
        Box::pin(self.sweep_leftovers())
    }
}

/// The sandbox's directories.
struct Places {
    layout: Layout,
    scratch: ReachableDirectory,
}

impl Places {
    fn make(spec: &SandboxSpec) -> io::Result<Self> {
        let layout = Layout::make(&spec.dir)?;
        let scratch = directory(&std::path::absolute(&spec.dir)?, "scratch", 0o700)?;
        Ok(Self { layout, scratch: ReachableDirectory::open(&scratch)? })
    }

    /// Where files of secrets are, among what is emptied between runs: on the disk, as this runtime keeps nobody out.
    fn secrets(&self) -> PathBuf {
        self.scratch.path.join(".longshore-secrets")
    }

    fn paths(&self, spec: &SandboxSpec) -> Paths {
        let text = |path: &Path| path.display().to_string();
        Paths {
            inside_in: text(&self.layout.inputs),
            inside_out: text(&self.layout.outputs),
            inside_data: spec.data.as_deref().map(text),
            inside_files: spec.files.as_deref().map(text),
            inside_socket: self.scratch.address_of("longshore.sock"),
            inside_scratch: text(&self.scratch.path),
            inside_secrets: text(&self.secrets()),
            host_in: self.layout.inputs.clone(),
            host_out: self.layout.outputs.clone(),
        }
    }
}

fn engine(error: impl std::fmt::Display) -> StartError {
    StartError::Engine(error.to_string())
}

/// What would be dangerous to leave out in silence. Memory and CPU limits are left out.
fn refuse_what_cannot_be(spec: &SandboxSpec) -> Result<(), StartError> {
    if !spec.container.workdir.is_empty() {
        return Err(StartError::Refused(format!(
            "workdir {:?} cannot be taken by the process runtime, which has no image and begins in a scratch directory; use \
             Docker",
            spec.container.workdir
        )));
    }
    if spec.container.user.is_empty() {
        return Ok(());
    }
    Err(StartError::Refused(format!(
        "user {:?} cannot be taken by the process runtime, which runs everything as the worker's user; use Docker",
        spec.container.user
    )))
}

fn environment(spec: &SandboxSpec, places: &Places, socket: &str, mark: &str) -> BTreeMap<String, String> {
    let scratch = places.scratch.path.display().to_string();
    let inputs = places.layout.inputs.display().to_string();
    let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/local/bin:/usr/bin:/bin".into());
    let first = [("PATH", path), ("HOME", scratch.clone()), ("TMPDIR", scratch.clone())];
    let last = [
        (SOCKET_ENV, socket.to_owned()),
        (INPUTS_ENV, inputs),
        (SCRATCH_ENV, scratch),
        (SECRETS_ENV, places.secrets().display().to_string()),
        (MARK_ENV, mark.to_owned()),
    ];
    let own = spec.container.env.iter().map(|variable| (variable.name.clone(), variable.value.clone()));
    let owned = |(name, value): (&str, String)| (name.to_owned(), value);
    first.into_iter().map(owned).chain(own).chain(last.into_iter().map(owned)).collect()
}

/// As for a container, so that a mistake does not fill the disk. Nothing has been run yet, so everything inherits it.
fn limit_files(child: &Child, largest: u64) {
    let Some(pid) = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) else {
        return;
    };
    for (resource, limit) in [(Resource::Fsize, largest), (Resource::Core, 0)] {
        // Our own limit cannot be exceeded.
        let limit = getrlimit(resource).maximum.map_or(limit, |own| own.min(limit));
        let limit = Rlimit { current: Some(limit), maximum: Some(limit) };
        if let Err(error) = prlimit(Some(pid), resource, limit) {
            tracing::warn!("the shim's limits cannot be set: {error}");
        }
    }
}

fn describe(ended: io::Result<std::process::ExitStatus>) -> String {
    ended.map_or_else(|error| error.to_string(), |status| status.to_string())
}
