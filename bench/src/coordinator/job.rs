//! The job: many items of one small input.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use longshore_proto::{
    CHUNK_BYTES, SMALL_BLOB_BYTES,
    bounds::LIST_ENTRIES,
    v1::{self, blobs_client::BlobsClient, jobs_client::JobsClient, put_request},
};
use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::server::Server;

/// Every item's input.
const INPUT: &[u8] = b"0";

/// Puts the input and the lists that name it; answers the submission that names those.
pub async fn put_inputs(server: &Server, items: u64) -> Result<v1::SubmitRequest> {
    let (steps, stream) = mpsc::channel(8);
    let mut blobs = BlobsClient::new(server.wire());
    let putting = tokio::spawn(async move { blobs.put(ReceiverStream::new(stream)).await });
    put(&steps, INPUT.to_vec()).await?;
    let mut inputs = Vec::new();
    let mut first = 0;
    while first < items {
        let count = LIST_ENTRIES.min(items - first);
        let list = list(first, count).encode_to_vec();
        let digest = Bytes::copy_from_slice(blake3::hash(&list).as_bytes());
        inputs.push(v1::BlobListRef { digest, count, size: list.len() as u64 });
        put(&steps, list).await?;
        first += count;
    }
    drop(steps);
    putting.await??;
    let container =
        v1::Container { image: "busybox".to_owned(), command: vec!["true".to_owned()], ..v1::Container::default() };
    let stage = v1::Stage { name: "true".to_owned(), container: Some(container), ..v1::Stage::default() };
    let spec = v1::JobSpec { name: "bench".to_owned(), stages: vec![stage], priority: 0 };
    Ok(v1::SubmitRequest { idempotency_key: String::new(), spec: Some(spec), inputs })
}

fn list(first: u64, count: u64) -> v1::BlobList {
    let digest = Bytes::copy_from_slice(blake3::hash(INPUT).as_bytes());
    let entry = |item| v1::NamedBlob {
        path: format!("{item:08}"),
        digest: digest.clone(),
        size: INPUT.len() as u64,
        inline: None,
    };
    v1::BlobList { blobs: (first..first + count).map(entry).collect() }
}

async fn put(steps: &mpsc::Sender<v1::PutRequest>, bytes: Vec<u8>) -> Result<()> {
    let digest = Bytes::copy_from_slice(blake3::hash(&bytes).as_bytes());
    let mut data = Bytes::from(bytes);
    if data.len() <= SMALL_BLOB_BYTES {
        let blobs = vec![v1::SmallBlob { digest, data }];
        return say(steps, put_request::Step::Small(v1::SmallBlobs { blobs })).await;
    }
    say(steps, put_request::Step::Start(v1::BlobStart { digest, size: data.len() as u64 })).await?;
    while !data.is_empty() {
        let chunk = data.split_to(CHUNK_BYTES.min(data.len()));
        say(steps, put_request::Step::Data(chunk)).await?;
    }
    Ok(())
}

async fn say(steps: &mpsc::Sender<v1::PutRequest>, step: put_request::Step) -> Result<()> {
    steps.send(v1::PutRequest { step: Some(step) }).await.ok().context("the coordinator takes no more blobs")
}

/// Submits; how long it took until that was acknowledged.
pub async fn submit(server: &Server, submission: v1::SubmitRequest) -> Result<Duration> {
    let started = Instant::now();
    JobsClient::new(server.wire()).submit(submission).await?;
    Ok(started.elapsed())
}

/// Fails unless the last job has succeeded with so many items.
pub async fn ensure_done(server: &Server, items: u64) -> Result<()> {
    let asked = v1::JobRequest { job_id: "last".to_owned() };
    let job = JobsClient::new(server.wire()).get(asked).await?.into_inner();
    let succeeded = job.stages.first().map_or(0, |stage| stage.succeeded);
    let done = job.state() == v1::JobState::Succeeded && succeeded == items;
    ensure!(done, "{succeeded} of {items} items have succeeded, and the job is {:?}", job.state());
    Ok(())
}
