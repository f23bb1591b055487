//! A runtime with what a test needs around it, and the promise that nothing is left behind.

#[path = "podman.rs"]
mod podman;

use std::{
    fs::{self, Permissions},
    os::{fd::OwnedFd, unix::fs::PermissionsExt},
    path::PathBuf,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bollard::{
    API_DEFAULT_VERSION, Docker,
    query_parameters::{KillContainerOptions, ListContainersOptionsBuilder},
};
use longshore_proto::v1::{Container, EnvVar};
use longshore_shim::{Done, FromShim, Run, Stdin, Stdout, ToShim};
use longshore_worker::runtime::{
    Image, ImageRequest, Runtime, Sandbox, SandboxSpec, StartError,
    docker::{DockerOptions, DockerRuntime},
    process::ProcessRuntime,
};
use tempfile::TempDir;
use tokio::{sync::Mutex, time::timeout};
use uuid::Uuid;

use self::podman::Podman;
use crate::host_image;

/// Programs in the image; the host has them too, for the process runtime.
const PROGRAMS: [&str; 8] = ["sh", "cat", "echo", "sleep", "ls", "touch", "mkdir", "id"];

/// Longer than anything here takes on a busy machine: only a failing test waits for it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// One runtime, one worker id, one directory.
pub struct World {
    pub runtime: Arc<dyn Runtime>,
    pub docker: Option<Arc<DockerRuntime>>,
    pub worker: Uuid,
    pub image: Image,
    base: TempDir,
    number: AtomicU64,
    closed: bool,
    engine: Engine,
    _host_image: Option<Arc<HostImage>>,
}

/// Whose containers these are.
#[derive(Clone)]
enum Engine {
    None,
    Docker,
    Podman(Arc<Podman>),
}

impl Engine {
    /// Its address, where it is not at the usual place.
    fn host(&self) -> Option<String> {
        match self {
            Self::None | Self::Docker => None,
            Self::Podman(podman) => Some(podman.host()),
        }
    }

    fn options(&self, worker: Uuid, shim: PathBuf) -> DockerOptions {
        DockerOptions { host: self.host(), ..DockerOptions::new(worker, shim) }
    }
}

impl World {
    /// Docker, with the defaults; `None` when there is none and the environment does not insist.
    pub async fn docker() -> Option<Self> {
        Self::docker_with(|_options| {}).await
    }

    /// Docker, with other options.
    pub async fn docker_with(change: impl FnOnce(&mut DockerOptions)) -> Option<Self> {
        Self::of(Engine::Docker, change).await
    }

    /// Podman, with the defaults; `None` where there can be none.
    pub async fn podman() -> Option<Self> {
        let podman = Podman::get().await?;
        Self::of(Engine::Podman(podman), |_options| {}).await
    }

    /// Another worker on the same engine, or in the same way without one.
    pub async fn alike(&self) -> Self {
        let another = match &self.engine {
            Engine::None => Self::process().await,
            engine => Self::of(engine.clone(), |_options| {}).await,
        };
        another.unwrap()
    }

    async fn of(engine: Engine, change: impl FnOnce(&mut DockerOptions)) -> Option<Self> {
        let base = tempfile::tempdir().unwrap();
        let worker = Uuid::new_v4();
        let mut options = engine.options(worker, base.path().join("shim"));
        change(&mut options);
        let docker = match DockerRuntime::connect(options).await {
            Ok(docker) => Arc::new(docker),
            Err(error) if std::env::var_os("LONGSHORE_REQUIRE_DOCKER").is_none_or(|value| value != "1") => {
                eprintln!("skipped, as no Docker answers (LONGSHORE_REQUIRE_DOCKER=1 makes this a failure): {error}");
                return None;
            }
            Err(error) => panic!("{error}"),
        };
        let host_image = HostImage::get(&engine, &docker).await;
        let image = docker.resolve(&ImageRequest::of(&host_image.tag)).await.unwrap();
        Some(Self {
            runtime: docker.clone(),
            docker: Some(docker),
            worker,
            image,
            base,
            number: AtomicU64::new(0),
            closed: false,
            engine,
            _host_image: Some(host_image),
        })
    }

    pub async fn process() -> Option<Self> {
        let base = tempfile::tempdir().unwrap();
        let worker = Uuid::new_v4();
        let runtime = Arc::new(ProcessRuntime::new(worker, &base.path().join("shim")).unwrap());
        let image = runtime.resolve(&ImageRequest::of("anything")).await.unwrap();
        Some(Self {
            runtime,
            docker: None,
            worker,
            image,
            base,
            number: AtomicU64::new(0),
            closed: false,
            engine: Engine::None,
            _host_image: None,
        })
    }

    /// The same worker after a restart.
    pub async fn next_life(&self) -> Arc<dyn Runtime> {
        next_life(self.worker, self.shim_directory(), &self.engine).await
    }

    /// Where its shim's file is; the shims of plain children run from there.
    pub fn shim_directory(&self) -> PathBuf {
        self.base.path().join("shim")
    }

    /// A directory for one sandbox, as callers make it.
    pub fn directory(&self) -> PathBuf {
        let path = self.base.path().join(format!("sandbox-{}", self.number.fetch_add(1, Ordering::Relaxed)));
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
        path
    }

    /// A specification with one variable and nothing else unusual.
    pub fn spec(&self) -> SandboxSpec {
        SandboxSpec {
            role: "slot",
            owner: "a test".into(),
            namespace: "".into(),
            image: self.image.clone(),
            container: Container {
                image: self.image.reference.clone(),
                env: vec![EnvVar { name: "COLOUR".into(), value: "grey".into() }],
                ..Container::default()
            },
            dir: self.directory(),
            data: None,
            files: None,
            max_output_bytes: 1 << 20,
        }
    }

    pub async fn start(&self) -> Sandbox {
        self.start_with(|_spec| {}).await.unwrap()
    }

    /// A sandbox with a directory "1" for outputs.
    pub async fn start_with(&self, change: impl FnOnce(&mut SandboxSpec)) -> Result<Sandbox, StartError> {
        let mut spec = self.spec();
        change(&mut spec);
        let sandbox = timeout(PATIENCE, self.runtime.start(&spec)).await.unwrap()?;
        let outputs = sandbox.paths.host_out.join("1");
        fs::create_dir(&outputs).unwrap();
        fs::set_permissions(&outputs, Permissions::from_mode(0o777)).unwrap();
        Ok(sandbox)
    }

    /// Names of the containers of this worker, in whatever state.
    pub async fn containers(&self) -> Vec<String> {
        let label = format!("longshore.worker={}", self.worker);
        let filters = std::collections::HashMap::from([("label", vec![label])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let client = self.client().await;
        let found = loop {
            match client.list_containers(Some(options.clone())).await {
                Ok(found) => break found,
                // A state that a container of Podman is in for a moment, and that the client does not know.
                Err(error) if error.to_string().contains("unknown variant") => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        };
        found.into_iter().flat_map(|container| container.names.unwrap_or_default()).collect()
    }

    /// The engine, to look at it past the code under test.
    pub async fn client(&self) -> Docker {
        match self.engine.host() {
            Some(host) => Docker::connect_with_unix(&host, 60, API_DEFAULT_VERSION).unwrap(),
            None => client().await,
        }
    }

    /// Kills the shim as a stranger on this machine would.
    pub async fn kill_from_outside(&self, sandbox: &Sandbox) {
        let id = sandbox.control.id();
        match id.strip_prefix("process-") {
            Some(pid) => {
                let pid = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
                rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
            }
            None => self.client().await.kill_container(id, None::<KillContainerOptions>).await.unwrap(),
        }
    }

    /// Ends the test: nothing may be left.
    pub async fn close(mut self) {
        if self.docker.is_some() {
            assert_eq!(self.containers().await, Vec::<String>::new());
        }
        assert_eq!(self.next_life().await.sweep().await.unwrap(), 0);
        self.closed = true;
    }
}

impl Drop for World {
    /// A test that failed leaves nothing either.
    fn drop(&mut self) {
        if self.closed {
            return;
        }
        let (worker, shim, engine) = (self.worker, self.shim_directory(), self.engine.clone());
        block_on(async move {
            let _ = next_life(worker, shim, &engine).await.sweep().await;
        });
    }
}

/// The engine, to look at it past the code under test.
pub async fn client() -> Docker {
    Docker::connect_with_unix_defaults().unwrap().negotiate_version().await.unwrap()
}

async fn next_life(worker: Uuid, shim: PathBuf, engine: &Engine) -> Arc<dyn Runtime> {
    match engine {
        Engine::None => Arc::new(ProcessRuntime::new(worker, &shim).unwrap()),
        engine => Arc::new(DockerRuntime::connect(engine.options(worker, shim)).await.unwrap()),
    }
}

/// The image of the host's programs, there as long as any test of this process uses it.
struct HostImage {
    tag: String,
    engine: Engine,
}

/// By the engine's address.
static HOST_IMAGES: Mutex<Vec<(Option<String>, Weak<HostImage>)>> = Mutex::const_new(Vec::new());

impl HostImage {
    async fn get(engine: &Engine, docker: &DockerRuntime) -> Arc<Self> {
        let mut all = HOST_IMAGES.lock().await;
        all.retain(|(_, image)| image.strong_count() > 0);
        let known = all.iter().find(|(host, _)| *host == engine.host());
        if let Some(image) = known.and_then(|(_, image)| image.upgrade()) {
            return image;
        }
        let engine = engine.clone();
        let image = Self { engine, tag: format!("longshore-test/host:{}", Uuid::new_v4().simple()) };
        let changes = ["LABEL longshore=test".to_owned(), r#"CMD ["/bin/echo", "hello"]"#.to_owned()];
        docker.import_image(&image.tag, host_image::tar(&PROGRAMS, &[]).into(), &changes).await.unwrap();
        let image = Arc::new(image);
        all.push((image.engine.host(), Arc::downgrade(&image)));
        image
    }
}

impl Drop for HostImage {
    fn drop(&mut self) {
        let (tag, engine) = (std::mem::take(&mut self.tag), self.engine.clone());
        block_on(async move {
            let scratch = tempfile::tempdir().unwrap();
            let options = engine.options(Uuid::new_v4(), scratch.path().into());
            let docker = DockerRuntime::connect(options).await.unwrap();
            if let Err(error) = docker.remove_image(&tag).await {
                eprintln!("{error}");
            }
        });
    }
}

/// For `Drop`, which may be inside a runtime that is going away.
fn block_on(work: impl Future<Output = ()> + Send + 'static) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    std::thread::spawn(move || runtime.block_on(work)).join().unwrap();
}

/// A run of `sh -c script`, the first of its sandbox.
pub fn shell(script: &str) -> Run {
    run(1, &["sh", "-c", script])
}

pub fn run(seq: u64, argv: &[&str]) -> Run {
    Run {
        seq,
        argv: argv.iter().map(|&argument| argument.to_owned()).collect(),
        env: Vec::new(),
        stdin: Stdin::Empty,
        stdout: Stdout::Log,
        timeout_ms: None,
        grace_ms: 100,
        log_bytes: 4096,
        user: None,
        secrets: Vec::new(),
        long_arguments: false,
    }
}

/// The run as the next user of the sandbox, as whoever uses one does it.
pub fn as_somebody(sandbox: &Sandbox, run: Run) -> Run {
    Run { user: sandbox.users.next().unwrap().inside, ..run }
}

/// Runs it and waits for its end.
pub async fn done(sandbox: &Sandbox, run: Run) -> Done {
    done_with(sandbox, run, None).await
}

/// The same with a file for standard output.
pub async fn done_with(sandbox: &Sandbox, run: Run, stdout: Option<&OwnedFd>) -> Done {
    let seq = run.seq;
    sandbox.shim.send_with(&ToShim::Run(as_somebody(sandbox, run)), stdout).await.unwrap();
    let (frame, _) = timeout(PATIENCE, sandbox.shim.receive()).await.unwrap().unwrap();
    match frame {
        FromShim::Done(done) if done.seq == seq => done,
        other => panic!("not the end of run {seq}: {other:?}"),
    }
}

/// What a shell script says on its standard output.
pub async fn said(sandbox: &Sandbox, seq: u64, script: &str) -> String {
    let done = done(sandbox, run(seq, &["sh", "-c", script])).await;
    String::from_utf8(done.stdout.head).unwrap().trim().to_owned()
}
