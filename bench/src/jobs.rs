//! Jobs over one connection, in the steps that the command takes one after the other.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use longshore_client::{
    Client, TokenSource,
    inputs::Collector,
    v1::{BlobListRef, Container, Interface, JobSpec, JobState, Stage, SubmitRequest},
};

use crate::longshore::{Longshore, Work};

/// Longest wait for a worker.
const WORKER: Duration = Duration::from_secs(10);

/// The runtime everything asynchronous is run on.
pub fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start threads")
}

/// A connection.
pub async fn caller(ours: &Longshore) -> Result<Client> {
    let token = ours.token().map(TokenSource::file).transpose()?;
    Ok(Client::connect(ours.address(), token).await?)
}

/// A connection, once a worker is there.
pub async fn connect(ours: &Longshore) -> Result<Client> {
    let client = caller(ours).await?;
    let begun = Instant::now();
    while !client.workers().await?.iter().any(|worker| worker.connected) {
        if begun.elapsed() > WORKER {
            bail!("no worker has come");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(client)
}

/// Uploads a file, or the files of a directory.
pub async fn upload(client: &Client, inputs: &Path) -> Result<Vec<BlobListRef>> {
    let mut collector = Collector::new();
    collector.argument(inputs.as_os_str())?;
    Ok(client.upload(collector.finish()?, None, Arc::new(|_| {})).await?)
}

/// Submits a job and waits for its end; its id.
pub async fn job(client: &Client, work: &Work, inputs: Vec<BlobListRef>) -> Result<String> {
    let request = SubmitRequest { spec: Some(spec(work)), inputs, ..SubmitRequest::default() };
    let id = client.submit(request).await?.job_id;
    let mut watch = client.watch(&id);
    let mut state = JobState::Unspecified;
    while let Some(view) = watch.next().await? {
        state = view.state();
    }
    match state {
        JobState::Succeeded => Ok(id),
        other => bail!("job {id} has ended as {other:?}"),
    }
}

/// Fetches a job's outputs; how many bytes.
pub async fn fetch(client: &Client, id: &str, into: &Path) -> Result<u64> {
    let outputs = client.outputs(id).await?;
    Ok(client.fetch_into(outputs, into, |_| {}).await?.bytes)
}

fn spec(work: &Work) -> JobSpec {
    let interface = if work.is_server { Interface::Http } else { Interface::Files };
    let container = Container {
        image: work.image.clone(),
        command: work.command.clone(),
        interface: interface.into(),
        ..Container::default()
    };
    let stage = Stage { name: "bench".to_owned(), container: Some(container), ..Stage::default() };
    JobSpec { name: "bench".to_owned(), stages: vec![stage], ..JobSpec::default() }
}
