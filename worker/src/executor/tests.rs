//! The executor over real shims: the process runtime for most, Docker for what only containers can show.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use longshore_proto::v1::{Container, EnvVar, Failure, FailureClass, Isolation, NamedBlob, Stage};
use tokio::time::timeout;
use uuid::Uuid;

use super::*;
use crate::{
    bounds::{Ceilings, Machine, Policy},
    cache::{Blob, FetchError},
    runtime::process::ProcessRuntime,
};

mod docker;
mod hostile;
mod runs;
mod servers;
mod trouble;
mod turns;

/// Longest a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// An executor, and everything it reports.
struct World {
    executor: Executor,
    results: mpsc::Receiver<Finished>,
    /// Image of stages made by [`World::stage`].
    image: String,
    blobs: Arc<Shelf>,
    numbers: u64,
    dir: tempfile::TempDir,
}

/// Blobs that did not travel along.
#[derive(Default)]
struct Shelf(Mutex<HashMap<blake3::Hash, Bytes>>);

impl FetchBlobs for Shelf {
    fn fetch(&self, _: &Arc<str>, digest: blake3::Hash, _: u64) -> BoxFuture<'_, Result<Blob, FetchError>> {
        let found = self.0.lock().unwrap().get(&digest).cloned();
        Box::pin(async move { found.map(Blob::Bytes).ok_or(FetchError::Missing { digest }) })
    }
}

impl World {
    /// So many slots over the process runtime.
    fn new(slots: usize) -> Self {
        Self::with(slots, |_| {})
    }

    fn with(slots: usize, change: impl FnOnce(&mut Options)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let runtime = ProcessRuntime::new(Uuid::new_v4(), &dir.path().join("shim")).unwrap();
        Self::over(Arc::new(runtime), "any", slots, dir, change)
    }

    fn over(
        runtime: Arc<dyn Runtime>,
        image: &str,
        slots: usize,
        dir: tempfile::TempDir,
        change: impl FnOnce(&mut Options),
    ) -> Self {
        let mut options = Options::new(slots, dir.path().join("work"));
        options.grace = Duration::from_millis(200);
        change(&mut options);
        let (sender, results) = mpsc::channel(64);
        let blobs = Arc::new(Shelf::default());
        let fetch: Arc<dyn FetchBlobs> = Arc::<Shelf>::clone(&blobs);
        let executor = Executor::start(runtime, fetch, options, sender).unwrap();
        Self { executor, results, image: image.into(), blobs, numbers: 0, dir }
    }

    /// A stage that runs this command.
    fn stage(&self, command: &[&str]) -> Stage {
        let container = Container {
            image: self.image.clone(),
            command: command.iter().map(|argument| (*argument).to_owned()).collect(),
            ..Container::default()
        };
        Stage { name: "stage".into(), container: Some(container), ..Stage::default() }
    }

    /// A stage that runs this line in a shell.
    fn shell(&self, line: &str) -> Stage {
        self.stage(&["sh", "-c", line])
    }

    /// Attempts of one stage, one for each input.
    fn map(&mut self, stage: Stage, inputs: &[(&str, &str)]) -> Vec<Work> {
        let stage = Arc::new(stage);
        inputs.iter().map(|(path, bytes)| self.work(&stage, path, vec![named(path, bytes)])).collect()
    }

    /// One attempt that puts parts together.
    fn gather(&mut self, mut stage: Stage, parts: &[(&str, &str)]) -> Work {
        stage.name = "total".into();
        let inputs = parts.iter().map(|(path, bytes)| named(path, bytes)).collect();
        Work { gather: true, ..self.work(&Arc::new(stage), "total", inputs) }
    }

    fn work(&mut self, stage: &Arc<Stage>, path: &str, inputs: Vec<NamedBlob>) -> Work {
        self.numbers += 1;
        Work {
            id: (1, self.numbers),
            job: [7; 16],
            namespace: "".into(),
            job_name: "job".into(),
            stage_index: 0,
            stage: Arc::clone(stage),
            image: None,
            index: self.numbers - 1,
            attempt: 1,
            path: path.into(),
            inputs,
            gather: false,
            missing: longshore_proto::v1::Missing::default(),
            secrets: Secrets::default(),
        }
    }

    async fn finished(&mut self) -> Finished {
        timeout(PATIENCE, self.results.recv()).await.expect("nothing was reported").unwrap()
    }

    /// Submits attempts and waits for all of them; in order of their numbers.
    async fn run(&mut self, work: Vec<Work>) -> Vec<Finished> {
        let count = work.len();
        self.executor.submit(work);
        let mut all = Vec::new();
        for _ in 0..count {
            all.push(self.finished().await);
        }
        all.sort_by_key(|finished| finished.id);
        assert!(self.executor.held().is_empty());
        all
    }

    /// Runs one item; answers its outputs as paths and text.
    async fn outputs(&mut self, stage: Stage, path: &str, bytes: &str) -> Vec<(String, String)> {
        let work = self.map(stage, &[(path, bytes)]);
        outputs(&self.run(work).await[0])
    }

    /// Runs one item that must fail.
    async fn failure(&mut self, stage: Stage) -> Failure {
        let work = self.map(stage, &[("item", "input")]);
        match self.run(work).await.remove(0).ended {
            Ended::Failure(failure) => failure,
            other => panic!("it did not fail: {other:?}"),
        }
    }

    /// Waits until something outside has come true.
    async fn until(&self, mut come_true: impl FnMut() -> bool) {
        let wait = async {
            while !come_true() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, wait).await.expect("it never came true");
    }

    async fn end(self) {
        let dir = self.dir;
        timeout(PATIENCE, self.executor.shutdown()).await.expect("the executor did not end");
        drop(dir);
    }
}

fn named(path: &str, bytes: &str) -> NamedBlob {
    NamedBlob {
        path: path.into(),
        digest: blake3::hash(bytes.as_bytes()).as_bytes().to_vec().into(),
        size: bytes.len() as u64,
        executable: false,
        inline: Some(Bytes::copy_from_slice(bytes.as_bytes())),
        origin: String::new(),
    }
}

fn outputs(finished: &Finished) -> Vec<(String, String)> {
    match &finished.ended {
        Ended::Success { outputs } => outputs.iter().map(|output| (output.path.clone(), text(output))).collect(),
        other => panic!("no success: {other:?}; stderr: {:?}", finished.stderr_log),
    }
}

fn text(output: &Output) -> String {
    let bytes = match &output.content {
        Content::Inline(bytes) => bytes.to_vec(),
        Content::File(owned) => std::fs::read(owned.path()).unwrap(),
    };
    assert_eq!(bytes.len() as u64, output.size);
    assert!(output.digest.is_none_or(|digest| digest == blake3::hash(&bytes)));
    String::from_utf8(bytes).unwrap()
}

fn pair(path: &str, text: &str) -> (String, String) {
    (path.into(), text.into())
}
