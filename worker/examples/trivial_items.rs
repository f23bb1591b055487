//! How many trivial items a second warm slots carry out on this machine: `trivial_items IMAGE [ITEMS] [SLOTS] [COMMAND…]`.
//!
//! The image must be on the local Docker Engine; with the image `process`, plain processes are measured instead. Each
//! item has an input of its own, which comes and goes inline. Prints items per second of each of five rounds, after one
//! to warm up, and the CPU time this program itself used per item.

use std::{error::Error, path::PathBuf, sync::Arc, time::Instant};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use longshore_proto::v1::{Container, NamedBlob, Stage};
use longshore_worker::{
    cache::{Blob, FetchBlobs, FetchError},
    executor::{Ended, Executor, Finished, Options, Secrets, Work},
    runtime::{
        Runtime,
        docker::{DockerOptions, DockerRuntime},
        process::ProcessRuntime,
    },
};
use tokio::sync::mpsc;
use uuid::Uuid;

/// Attempts submitted before the first result is waited for.
const AHEAD: usize = 64;

/// All inputs travel along.
struct Nothing;

impl FetchBlobs for Nothing {
    fn fetch(&self, _: &Arc<str>, digest: blake3::Hash, _: u64) -> BoxFuture<'_, Result<Blob, FetchError>> {
        Box::pin(async move { Err(FetchError::Missing { digest }) })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let image = arguments.next().unwrap_or_else(|| "busybox".into());
    let items: u64 = arguments.next().map_or(Ok(10_000), |text| text.parse())?;
    let slots: usize = arguments.next().map_or(Ok(2), |text| text.parse())?;
    let mut command: Vec<String> = arguments.collect();
    if command.is_empty() {
        command.push("true".into());
    }
    let dir = std::env::temp_dir().join(format!("longshore-trivial-items-{}", std::process::id()));
    let runtime = runtime(&image, dir.join("shim")).await?;
    let (sender, mut results) = mpsc::channel(1_024);
    let executor = Executor::start(runtime, Arc::new(Nothing), Options::new(slots, dir.join("work")), sender)?;
    let container = Container { image, command, ..Container::default() };
    let stage = Arc::new(Stage { name: "trivial".into(), container: Some(container), ..Stage::default() });
    for round in 0..6 {
        let count = if round == 0 { items / 10 } else { items };
        let (begun, cpu) = (Instant::now(), own_cpu_us());
        carry_out(&executor, &mut results, &stage, round, count).await?;
        let (took, cpu) = (begun.elapsed().as_secs_f64(), own_cpu_us() - cpu);
        if round > 0 {
            println!("{:.0} items/s, {} us of our own CPU time per item", count as f64 / took, cpu / count);
        }
    }
    executor.shutdown().await;
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}

async fn runtime(image: &str, shim: PathBuf) -> Result<Arc<dyn Runtime>, Box<dyn Error>> {
    if image == "process" {
        return Ok(Arc::new(ProcessRuntime::new(Uuid::new_v4(), &shim)?));
    }
    Ok(Arc::new(DockerRuntime::connect(DockerOptions::new(Uuid::new_v4(), shim)).await?))
}

async fn carry_out(
    executor: &Executor,
    results: &mut mpsc::Receiver<Finished>,
    stage: &Arc<Stage>,
    round: u64,
    count: u64,
) -> Result<(), Box<dyn Error>> {
    let mut work = (0..count).map(|number| item(stage, round, number));
    executor.submit(work.by_ref().take(AHEAD).collect());
    for _ in 0..count {
        let finished = results.recv().await.ok_or("the executor ended")?;
        if !matches!(finished.ended, Ended::Success { .. }) {
            return Err(format!("{:?}", finished.ended).into());
        }
        // In batches, as a coordinator sends them.
        if finished.index % 16 == 0 {
            executor.submit(work.by_ref().take(16).collect());
        }
    }
    Ok(())
}

fn item(stage: &Arc<Stage>, round: u64, number: u64) -> Work {
    let bytes = Bytes::from(number.to_string());
    let input = NamedBlob {
        path: format!("{number}.txt"),
        digest: Bytes::copy_from_slice(blake3::hash(&bytes).as_bytes()),
        size: bytes.len() as u64,
        executable: false,
        inline: Some(bytes),
        origin: String::new(),
    };
    Work {
        id: (round, number),
        job: [1; 16],
        namespace: "".into(),
        job_name: "trivial".into(),
        stage_index: 0,
        stage: Arc::clone(stage),
        image: None,
        index: number,
        attempt: 1,
        path: input.path.clone(),
        inputs: vec![input],
        gather: false,
        missing: longshore_proto::v1::Missing::default(),
        secrets: Secrets::default(),
    }
}

/// CPU time of this program so far, in microseconds, counted in ticks of 10 ms.
fn own_cpu_us() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let times = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    times.filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10_000
}
