//! The job: many items of one small input.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use longshore_proto::{
    CHUNK_BYTES, MAX_MESSAGE_BYTES, SMALL_BLOB_BYTES,
    bounds::LIST_ENTRIES,
    v1::{self, blobs_client::BlobsClient, jobs_client::JobsClient, put_request},
};
use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::server::Server;

/// The job that was submitted last.
const LAST: &str = "last";

/// Every item's input.
const INPUT: &[u8] = b"0";

/// Puts the input and the lists that name it; answers the submission of so many stages that names those.
pub async fn put_inputs(server: &Server, items: u64, stages: u16) -> Result<v1::SubmitRequest> {
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
    let stages = (1..=stages).map(stage).collect();
    let spec = v1::JobSpec { name: "bench".to_owned(), stages, ..v1::JobSpec::default() };
    Ok(v1::SubmitRequest { idempotency_key: String::new(), spec: Some(spec), inputs })
}

fn input_path(item: u64) -> String {
    format!("{item:08}")
}

fn stage(number: u16) -> v1::Stage {
    let container =
        v1::Container { image: "busybox".to_owned(), command: vec!["true".to_owned()], ..v1::Container::default() };
    v1::Stage { name: format!("true-{number}"), container: Some(container), ..v1::Stage::default() }
}

fn list(first: u64, count: u64) -> v1::BlobList {
    let digest = Bytes::copy_from_slice(blake3::hash(INPUT).as_bytes());
    let entry = |item| v1::NamedBlob {
        path: input_path(item),
        digest: digest.clone(),
        size: INPUT.len() as u64,
        executable: false,
        inline: None,
        origin: String::new(),
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

/// Fails unless the last job has succeeded with so many items in each of its stages.
pub async fn ensure_done(server: &Server, items: u64) -> Result<()> {
    let asked = v1::JobRequest { job_id: LAST.to_owned() };
    let job = JobsClient::new(server.wire()).get(asked).await?.into_inner();
    let succeeded = job.stages.iter().map(|stage| stage.succeeded).min().unwrap_or(0);
    let done = job.state() == v1::JobState::Succeeded && succeeded == items;
    ensure!(done, "{succeeded} of {items} items have succeeded, and the job is {:?}", job.state());
    Ok(())
}

/// Lists the outputs of the last job, which follow its inputs; how long that took.
pub async fn list_outputs(server: &Server, items: u64) -> Result<Duration> {
    let started = Instant::now();
    let asked = v1::ItemsRequest { job_id: LAST.to_owned(), last_stage: true, ..v1::ItemsRequest::default() };
    let mut jobs = JobsClient::new(server.wire()).max_decoding_message_size(2 * MAX_MESSAGE_BYTES);
    let mut pages = jobs.items(asked).await?.into_inner();
    let mut listed = 0;
    while let Some(page) = pages.message().await? {
        for item in page.items {
            let [output] = item.outputs.as_slice() else { bail!("item {} has not one output", item.path) };
            ensure!(output.path == input_path(listed), "{} is listed where {} is due", output.path, input_path(listed));
            listed += 1;
        }
    }
    ensure!(listed == items, "{listed} of {items} outputs are listed");
    Ok(started.elapsed())
}
