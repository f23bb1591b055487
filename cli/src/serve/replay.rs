//! One item, run here as a worker would.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use longshore_client::{
    Digest, escape, path,
    v1::{Failure as ItemFailure, ItemView, Missing, Recipe, SecretValue},
};
use longshore_worker::{
    bounds::{Machine, Policy},
    cache::given::Given,
    executor::{Content, Ended, Executor, Options, Output, Secrets, Work},
    home::Home,
    runtime::ImageDigest,
};
use tokio::sync::mpsc;

use super::{ceilings, runtime};
use crate::args::servers::CapacityArgs;

/// An item and everything that it is run with.
pub struct Replay {
    /// What it is run with.
    pub recipe: Recipe,
    /// The item.
    pub item: ItemView,
    /// All blobs that it needs.
    pub blobs: Vec<(Digest, Bytes)>,
    /// The secrets that it is given.
    pub secrets: Vec<SecretValue>,
    /// Where its outputs are kept, in `outputs`.
    pub dir: PathBuf,
}

/// How it ended.
pub struct Replayed {
    /// Why it failed, if it did.
    pub failure: Option<ItemFailure>,
    /// How many outputs it left.
    pub outputs: u64,
    /// What it wrote to standard output, where that is not its output.
    pub stdout: Bytes,
    /// What it wrote to standard error.
    pub stderr: Bytes,
    /// How long it ran.
    pub took: Duration,
}

/// Runs it, and keeps its outputs. Nothing of the worker that it takes is left.
pub async fn run(replay: Replay, capacity: &CapacityArgs) -> Result<Replayed> {
    let dir = replay.dir.join(".worker");
    let replayed = work(&replay, &dir, capacity).await;
    let _ = fs::remove_dir_all(&dir);
    replayed
}

async fn work(replay: &Replay, dir: &Path, capacity: &CapacityArgs) -> Result<Replayed> {
    let home = Home::open(dir)?;
    let runtime = runtime(&home, capacity).await?;
    let mut given = Given::default();
    for (digest, bytes) in &replay.blobs {
        given.add(*digest.as_bytes(), bytes.clone());
    }
    let (sender, mut results) = mpsc::channel(1);
    let mut options = Options::new(1, home.dir().join("slots"));
    options.bounds = Policy::new(Machine::look(), 1, ceilings(capacity));
    let executor = Executor::start(Arc::clone(&runtime), Arc::new(given), options, sender)?;
    executor.submit(vec![attempt(replay)]);
    let finished = results.recv().await;
    let replayed = finished.context("the item came to no end").and_then(|finished| {
        let (failure, outputs) = match finished.ended {
            Ended::Success { outputs } => (None, keep(&replay.dir.join("outputs"), outputs)?),
            Ended::Failure(failure) => (Some(failure), 0),
            Ended::Returned => anyhow::bail!("the item was given back before it ran"),
        };
        let (stdout, stderr, took) = (finished.stdout_log, finished.stderr_log, finished.duration);
        Ok(Replayed { failure, outputs, stdout, stderr, took })
    });
    executor.shutdown().await;
    replayed
}

fn attempt(replay: &Replay) -> Work {
    let Replay { recipe, item, .. } = replay;
    Work {
        id: (0, 1),
        job: recipe.job_id.as_ref().try_into().unwrap_or_default(),
        namespace: "".into(),
        job_name: recipe.job_name.clone(),
        stage_index: item.stage,
        stage: Arc::new(recipe.stage.clone().unwrap_or_default()),
        image: ImageDigest::from_wire(&recipe.image),
        index: item.index,
        attempt: 1,
        path: item.path.clone(),
        inputs: recipe.input.clone().into_iter().collect(),
        gather: false,
        missing: Missing::default(),
        secrets: Secrets::new(replay.secrets.clone()),
    }
}

fn keep(dir: &Path, outputs: Vec<Output>) -> Result<u64> {
    let count = outputs.len() as u64;
    for output in outputs {
        path::check(&output.path).with_context(|| format!("output {} has a bad name", escape::line(&output.path)))?;
        let place = dir.join(&output.path);
        let cannot = || format!("cannot write {}", escape::path(&place));
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent).with_context(cannot)?;
        }
        match &output.content {
            Content::Inline(bytes) => fs::write(&place, bytes).with_context(cannot)?,
            Content::File(file) => drop(fs::copy(file.path(), &place).with_context(cannot)?),
        }
    }
    Ok(count)
}
