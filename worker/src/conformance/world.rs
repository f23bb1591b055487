//! A worker's executor and replicas over one runtime, and a way to ask any role of the image.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, resume_unwind},
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt;
use longshore_contract::bounds::ANSWER_BYTES;
use longshore_proto::v1::{
    Container, DesiredReplica, Failure, FailureClass, NamedBlob, ReplicaId, ReplicaPhase, Stage,
};
use longshore_root::{Account, Call, CallError, Message, Transport as _};
use tokio::{
    sync::{Mutex, mpsc},
    time::timeout,
};
use uuid::Uuid;

use super::image;
use crate::{
    cache::{Cache, FetchBlobs, FetchError},
    executor::{Content, Ended, Executor, Finished, Options, Secrets, Work},
    host_image,
    replicas::Replicas,
    runtime::{
        Runtime,
        docker::{DockerOptions, DockerRuntime},
        process::ProcessRuntime,
    },
};

/// Longest a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the server's program is in the image.
const PROGRAM: &str = "/bin/conformance";

/// What the image is asked as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Stage,
    Gather,
    Leaf,
    Merge,
}

impl Role {
    /// What it is told of its item's name.
    pub(super) fn item_name(self) -> &'static str {
        match self {
            Self::Stage => "a.txt",
            Self::Gather => "total",
            Self::Leaf | Self::Merge => "answer",
        }
    }

    /// What becomes of `{job} {shard} {shards} {data}`; what means nothing stays.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Stage | Self::Gather => "find {shard} {shards} {data}",
            Self::Leaf => "find 1 2 {data}",
            Self::Merge => "find {shard} 2 {data}",
        }
    }

    fn has_parts(self) -> bool {
        matches!(self, Self::Gather | Self::Merge)
    }
}

/// How bytes reach the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interface {
    Files,
    Http,
}

/// What has come of it.
#[derive(Debug, PartialEq)]
pub(super) enum Judged {
    Answer(Bytes),
    /// A stage or gather failed.
    Item(Failure),
    /// A leaf or merge did not answer.
    Call(CallError),
}

impl Judged {
    /// The words that say why there is no answer.
    pub(super) fn words(&self) -> &str {
        match self {
            Self::Answer(_) => panic!("there is an answer"),
            Self::Item(failure) => &failure.message,
            Self::Call(
                CallError::Refused(why)
                | CallError::Busy(why)
                | CallError::Late(why)
                | CallError::Failed(why)
                | CallError::Away(why)
                | CallError::Lost(why)
                | CallError::NoRoom(why),
            ) => why,
        }
    }

    /// It failed like this, as far as its role tells.
    pub(super) fn is_failure(&self, class: FailureClass, role: (Role, Interface)) {
        let agrees = match self {
            Self::Answer(_) => false,
            Self::Item(failure) => failure.class() == class,
            Self::Call(CallError::Refused(_)) => class == FailureClass::Refused,
            Self::Call(CallError::Busy(_) | CallError::NoRoom(_)) => class == FailureClass::Infrastructure,
            Self::Call(CallError::Late(_)) => class == FailureClass::Timeout,
            Self::Call(CallError::Failed(_) | CallError::Away(_) | CallError::Lost(_)) => {
                !matches!(class, FailureClass::Refused | FailureClass::Infrastructure)
            }
        };
        assert!(agrees, "{role:?}: {class:?} expected, but it is {:?}", self.shown());
    }

    fn shown(&self) -> String {
        match self {
            Self::Answer(bytes) => format!("an answer of {} bytes", bytes.len()),
            other => format!("{other:?}"),
        }
    }
}

/// An executor and replicas, over one runtime.
pub(super) struct World {
    executor: Executor,
    results: mpsc::Receiver<Finished>,
    replicas: Arc<Replicas>,
    desired: Vec<DesiredReplica>,
    image: String,
    program: String,
    numbers: u64,
    dir: tempfile::TempDir,
}

impl World {
    /// Over plain processes.
    pub(super) fn of_processes() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let runtime = ProcessRuntime::new(Uuid::new_v4(), &dir.path().join("shim")).unwrap();
        Self::over(Arc::new(runtime), "any", image::program().to_str().unwrap(), dir)
    }

    /// Runs a check in containers of an image made for it, and leaves nothing behind, also when it fails. Skipped without
    /// Docker, with a line on standard error; `LONGSHORE_REQUIRE_DOCKER=1` makes that a failure.
    pub(super) async fn in_containers(check: &impl AsyncFn(&mut Self)) {
        let dir = tempfile::tempdir().unwrap();
        let options = DockerOptions::new(Uuid::new_v4(), dir.path().join("shim"));
        let docker = match DockerRuntime::connect(options).await {
            Ok(docker) => Arc::new(docker),
            Err(error) => {
                let required = std::env::var_os("LONGSHORE_REQUIRE_DOCKER").is_some_and(|value| value == "1");
                assert!(!required, "{error}");
                eprintln!("skipped, as no Docker answers (LONGSHORE_REQUIRE_DOCKER=1 makes this a failure): {error}");
                return;
            }
        };
        let image = TestImage::get(&docker).await;
        let mut world = Self::over(docker, &image.0, PROGRAM, dir);
        let outcome = AssertUnwindSafe(check(&mut world)).catch_unwind().await;
        world.end().await;
        if let Err(panic) = outcome {
            resume_unwind(panic);
        }
    }

    fn over(runtime: Arc<dyn Runtime>, image: &str, program: &str, dir: tempfile::TempDir) -> Self {
        let fetcher = Arc::new(|_, digest, _| async move { Err(FetchError::Missing { digest }) }.boxed());
        let cache = Cache::open(&dir.path().join("cache"), 1 << 30, fetcher).unwrap();
        let mut options = Options::new(2, dir.path().join("slots"));
        options.grace = Duration::from_millis(200);
        let bounds = options.bounds;
        let (sender, results) = mpsc::channel(64);
        let blobs: Arc<dyn FetchBlobs> = Arc::new(cache.clone());
        let executor = Executor::start(Arc::clone(&runtime), blobs, options, sender).unwrap();
        let replicas = Replicas::start(runtime, cache, dir.path().join("replicas"), bounds).unwrap();
        let (image, program) = (image.to_owned(), program.to_owned());
        Self { executor, results, replicas, desired: Vec::new(), image, program, numbers: 0, dir }
    }

    /// Ends everything.
    pub(super) async fn end(self) {
        timeout(PATIENCE, async { tokio::join!(self.executor.shutdown(), self.replicas.shutdown()) })
            .await
            .expect("it does not end");
        drop(self.dir);
    }

    /// Asks the image to do what `input` says; as parts it is cut in two.
    pub(super) async fn ask(&mut self, role: Role, interface: Interface, input: Bytes) -> Judged {
        self.ask_of(role, self.container(interface), input, None).await
    }

    /// The same with a bound of time.
    pub(super) async fn ask_within(
        &mut self,
        role: Role,
        interface: Interface,
        input: Bytes,
        within: Duration,
    ) -> Judged {
        self.ask_of(role, self.container(interface), input, Some(within)).await
    }

    /// Asks until there is an answer: a replica that has ended a moment ago is soon up again.
    pub(super) async fn answer(&mut self, role: Role, interface: Interface, input: &'static str) -> Bytes {
        let mut changes = self.replicas.changes();
        loop {
            changes.mark_unchanged();
            match self.ask(role, interface, input.into()).await {
                Judged::Answer(answer) => return answer,
                Judged::Call(CallError::Failed(_) | CallError::Away(_) | CallError::Lost(_)) => {}
                other => panic!("{role:?} over {interface:?}: {other:?}"),
            }
            timeout(PATIENCE, changes.changed()).await.expect("no replica comes up again").unwrap();
        }
    }

    /// Asks for an output at `{out}`, and leaves none.
    pub(super) async fn ask_for_nothing(&mut self, role: Role) -> Judged {
        self.ask_of(role, image::process(&self.image, ": \"{out}\""), Bytes::new(), None).await
    }

    /// Asks for what was sent along with the container.
    pub(super) async fn ask_for_what_was_sent(&mut self, role: Role, interface: Interface) -> Judged {
        let container = Container { files: image::sent(), ..self.container(interface) };
        self.ask_of(role, container, "sent".into(), None).await
    }

    /// What the image is told, by the names of variables.
    pub(super) async fn facts(&mut self, role: Role, interface: Interface) -> BTreeMap<String, String> {
        let judged = self.ask(role, interface, "facts".into()).await;
        let Judged::Answer(text) = judged else { panic!("{role:?} over {interface:?}: {judged:?}") };
        let text = String::from_utf8(text.to_vec()).unwrap();
        let all = text.lines().filter_map(|line| line.strip_prefix("export ")?.split_once('='));
        let told = all.map(|(name, value)| (name.to_owned(), value.trim_matches(['\'', '"']).to_owned()));
        told.filter(|(name, _)| name == "WORDS" || is_fact(name)).collect()
    }

    fn container(&self, interface: Interface) -> Container {
        match interface {
            Interface::Files => image::process_of_all(&self.image),
            Interface::Http => image::server(&self.image, &self.program),
        }
    }

    async fn ask_of(&mut self, role: Role, container: Container, input: Bytes, within: Option<Duration>) -> Judged {
        match role {
            Role::Stage | Role::Gather => self.item(role, container, &input, within).await,
            Role::Leaf | Role::Merge => self.call(role, container, input, within.unwrap_or(PATIENCE)).await,
        }
    }

    async fn item(&mut self, role: Role, container: Container, input: &Bytes, within: Option<Duration>) -> Judged {
        self.numbers += 1;
        let stage = Stage {
            name: "total".into(),
            container: Some(container),
            timeout_ms: within.map_or(0, |within| u64::try_from(within.as_millis()).unwrap()),
            max_output_bytes: ANSWER_BYTES,
            ..Stage::default()
        };
        let inputs = if role.has_parts() { halves(input).to_vec() } else { vec![input.clone()] };
        let path = if role.has_parts() { "total" } else { "d/a.txt" };
        let work = Work {
            id: (1, self.numbers),
            job: [7; 16],
            namespace: "".into(),
            job_name: "find".into(),
            stage_index: 0,
            stage: Arc::new(stage),
            image: None,
            index: 1,
            attempt: 1,
            path: path.into(),
            inputs: inputs.into_iter().map(named).collect(),
            gather: role.has_parts(),
            missing: longshore_proto::v1::Missing::default(),
            secrets: Secrets::default(),
        };
        self.executor.submit(vec![work]);
        let finished = timeout(PATIENCE, self.results.recv()).await.expect("nothing was reported").unwrap();
        match finished.ended {
            Ended::Failure(failure) => Judged::Item(failure),
            Ended::Returned => panic!("it was not given back"),
            Ended::Success { outputs } => {
                let [output] = &outputs[..] else { panic!("{} outputs", outputs.len()) };
                assert_eq!(output.path, path);
                Judged::Answer(match &output.content {
                    Content::Inline(bytes) => bytes.clone(),
                    Content::File(file) => std::fs::read(file.path()).unwrap().into(),
                })
            }
        }
    }

    async fn call(&mut self, role: Role, container: Container, input: Bytes, within: Duration) -> Judged {
        let id = self.deploy(role, container).await;
        let call = if role.has_parts() {
            let parts = (0..).zip(halves(&input).map(Message::from)).collect();
            Call::Merge { head: http::HeaderMap::new(), parts }
        } else {
            Call::Leaf(input.into())
        };
        match self.replicas.call(&id, call, within, &Account::unbounded()).await {
            Ok(answer) => Judged::Answer(answer.message.body),
            Err(unanswered) => Judged::Call(unanswered),
        }
    }

    /// A replica of this container, ready.
    async fn deploy(&mut self, role: Role, container: Container) -> ReplicaId {
        let merge = role.has_parts();
        let known = self.desired.iter().position(|known| {
            known.container.as_ref() == Some(&container) && known.id.as_ref().is_some_and(|id| id.merge == merge)
        });
        let at = known.unwrap_or_else(|| {
            let generation = self.desired.len() as u64 + 1;
            let id = ReplicaId { service: "find".into(), generation, merge, shard: 1, ..ReplicaId::default() };
            self.desired.push(DesiredReplica {
                id: Some(id),
                container: Some(container),
                shards: 2,
                ..Default::default()
            });
            self.replicas.keep(self.desired.clone(), Vec::new());
            self.desired.len() - 1
        });
        let id = self.desired[at].id.clone().unwrap();
        let mut changes = self.replicas.changes();
        let ready = changes.wait_for(|_| {
            let mut reports = self.replicas.reports().into_iter();
            reports.any(|report| report.id.as_ref() == Some(&id) && report.phase() == ReplicaPhase::Ready)
        });
        timeout(PATIENCE, ready).await.expect("the replica is not ready").unwrap();
        id
    }
}

/// The image in the engine, there as long as any test of this process uses it.
struct TestImage(String);

static IMAGE: Mutex<Weak<TestImage>> = Mutex::const_new(Weak::new());

impl TestImage {
    async fn get(docker: &DockerRuntime) -> Arc<Self> {
        let mut known = IMAGE.lock().await;
        if let Some(image) = known.upgrade() {
            return image;
        }
        let image = Self(format!("longshore-test-conformance:{}", Uuid::new_v4().simple()));
        let files = host_image::tar(&image::PROGRAMS, &[(&image::program(), PROGRAM)]);
        docker.import_image(&image.0, files.into(), &[]).await.unwrap();
        let image = Arc::new(image);
        *known = Arc::downgrade(&image);
        image
    }
}

impl Drop for TestImage {
    fn drop(&mut self) {
        let tag = std::mem::take(&mut self.0);
        // This may be inside a runtime that is going away.
        let removal = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let scratch = tempfile::tempdir().unwrap();
                let docker = DockerRuntime::connect(DockerOptions::new(Uuid::new_v4(), scratch.path().into())).await;
                docker.unwrap().remove_image(&tag).await.unwrap();
            });
        });
        if removal.join().is_err() {
            eprintln!("a test's image cannot be removed");
        }
    }
}

fn halves(input: &Bytes) -> [Bytes; 2] {
    let middle = input.len() / 2;
    [input.slice(..middle), input.slice(middle..)]
}

fn named(bytes: Bytes) -> NamedBlob {
    NamedBlob {
        path: "part".into(),
        digest: blake3::hash(&bytes).as_bytes().to_vec().into(),
        size: bytes.len() as u64,
        executable: false,
        inline: Some(bytes),
        origin: String::new(),
    }
}

/// Whether a variable tells what a server can be told too: not where files are.
fn is_fact(name: &str) -> bool {
    ["JOB", "NAME", "INDEX", "ATTEMPT", "SHARD", "SHARDS", "DATA"]
        .iter()
        .any(|fact| name.strip_prefix("LONGSHORE_") == Some(*fact))
}
