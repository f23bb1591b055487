//! `longshore service deploy`: divide the data, upload it, deploy, wait until ready.

mod readiness;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use clap::Args;
use longshore_client::{
    Client, escape,
    inputs::{Collector, Input, Source},
    secret, shards,
    v1::{ServiceSpec, ServiceView},
};
use serde_json::json;
use tokio::time::Instant;

use self::readiness::Readiness;
use crate::{
    amounts,
    context::Context,
    exit::Exit,
    failure::Failure,
    interrupt::Interrupt,
    progress::Progress,
    spec::{
        SpecText,
        quantity::Millis,
        service::{self, ServicePlan},
    },
    views::Named,
};

/// Pause between two looks at a service that is not ready.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// Shards that `--dry-run` shows.
const SHOWN: usize = 16;

/// What to deploy, and how long to wait.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  longshore service deploy search.yaml
  longshore service deploy search.yaml --no-wait
  longshore service deploy search.yaml --dry-run

The files of `data` are divided among the shards so that these are about equally large.")]
pub struct DeployArgs {
    /// The service's spec; - is standard input
    #[arg(value_name = "SPEC")]
    spec: PathBuf,
    /// Do not wait until the service is ready
    #[arg(long)]
    no_wait: bool,
    /// Longest wait for another of its replicas to get ready: while they do, it is waited on
    #[arg(long, value_name = "TIME", default_value = "2m")]
    timeout: Millis,
    /// Check the spec and its data, show the shards, and stop
    #[arg(long)]
    dry_run: bool,
}

/// Deploys and waits.
pub async fn run(args: DeployArgs, context: &Context) -> Result<Exit> {
    let (plan, data) = prepare(&args.spec)?;
    if args.dry_run {
        return dry_run(&plan.spec, &data, context);
    }
    let interrupt = Interrupt::listen();
    let client = context.connect().await?;
    let progress = Progress::new(&context.printer);
    let work = async {
        let service = deploy(&client, plan.spec, data, &progress).await?;
        match args.no_wait {
            true => Ok(service),
            false => wait_ready(&client, service, args.timeout, &progress).await,
        }
    };
    let service = tokio::select! {
        service = work => service,
        () = interrupt.typed() => {
            progress.finish();
            progress.warn("interrupted; what was deployed goes on: longshore service ls");
            return Ok(Exit::Interrupted);
        }
    };
    progress.finish();
    let service = service?;
    let name = name_of(&service);
    context.printer.view(&Named {
        value: json!({ "name": name, "generation": service.generation, "ready": service.ready }),
        name,
    })?;
    Ok(Exit::Done)
}

/// Reads the spec and the names of its data.
fn prepare(path: &Path) -> Result<(ServicePlan, Vec<Input>)> {
    let text = SpecText::read(path)?;
    let plan = service::parse(&text)?;
    let Some(data) = &plan.data else {
        return Ok((plan, Vec::new()));
    };
    // A spec means the same wherever it is deployed from.
    let directory = text.base.join(data);
    if directory.is_file() {
        return Err(Failure::usage(format!("data {} is a file, not a directory", escape::path(&directory))).into());
    }
    let mut collector = Collector::new();
    collector.argument(directory.as_os_str())?;
    Ok((plan, collector.finish()?))
}

fn dry_run(spec: &ServiceSpec, data: &[Input], context: &Context) -> Result<Exit> {
    let (count, divided) = (shards_of(spec), divided(data, shards_of(spec))?);
    context.printer.note(&format!(
        "service {}: {}, {} of data; nothing was deployed",
        spec.name,
        amounts::some(u64::from(count), "shard"),
        amounts::some(data.len() as u64, "file"),
    ));
    for (shard, (files, bytes)) in divided.iter().enumerate().take(if data.is_empty() { 0 } else { SHOWN }) {
        let (files, bytes) = (amounts::some(*files as u64, "file"), amounts::bytes(*bytes));
        context.printer.note(&format!("shard {shard}: {files}, {bytes}"));
    }
    if let Some(more @ 1..) = divided.len().checked_sub(SHOWN).filter(|_| !data.is_empty()) {
        context.printer.note(&format!("… and {} more", amounts::count(more as u64)));
    }
    let leaf = spec.leaf.as_ref().and_then(|leaf| leaf.container.as_ref());
    let merge = spec.merge.as_ref().and_then(|merge| merge.container.as_ref());
    let mut secrets: Vec<&str> = leaf.into_iter().chain(merge).flat_map(secret::named).collect();
    secrets.sort_unstable();
    secrets.dedup();
    if !secrets.is_empty() {
        context.printer.note(&format!("it names secrets: {}", secrets.join(", ")));
    }
    context.printer.view(&Named {
        value: json!({
            "name": spec.name,
            "shards": count,
            "files": data.len(),
            "divided": divided.iter().map(|(files, bytes)| json!({ "files": files, "bytes": bytes })).collect::<Vec<_>>(),
            "secrets": secrets,
        }),
        name: spec.name.clone(),
    })?;
    Ok(Exit::Done)
}

/// How many files each shard has, and how many bytes.
fn divided(data: &[Input], shards: u32) -> Result<Vec<(usize, u64)>> {
    let size = |input: &Input| match &input.source {
        Source::File(path) => {
            let found = std::fs::metadata(path);
            found.map(|file| file.len()).with_context(|| format!("cannot look at {}", escape::path(path)))
        }
        Source::Bytes(bytes) => Ok(bytes.len() as u64),
    };
    let sizes = data.iter().map(|input| Ok((input.path.as_str(), size(input)?))).collect::<Result<Vec<_>>>()?;
    let bytes = |shard: &Vec<usize>| shard.iter().map(|file| sizes[*file].1).sum();
    Ok(shards::divide(&sizes, shards).iter().map(|shard| (shard.len(), bytes(shard))).collect())
}

async fn deploy(client: &Client, mut spec: ServiceSpec, data: Vec<Input>, progress: &Progress) -> Result<ServiceView> {
    let (shards, files) = (shards_of(&spec), data.len() as u64);
    if files > 0 {
        if files < u64::from(shards) {
            progress.warn(&format!("note: {shards} shards share {}; some stay empty", amounts::some(files, "file")));
        }
        let divide = |files: &[(&str, u64)]| shards::divide(files, shards);
        let lists = client.upload_shards(data, divide, progress.upload()).await?;
        progress.uploaded(&format!("{} uploaded", amounts::some(files, "file")));
        if let Some(leaf) = spec.leaf.as_mut() {
            leaf.data = lists;
        }
    }
    let leaf = spec.leaf.as_mut().and_then(|leaf| leaf.container.as_mut());
    let merge = spec.merge.as_mut().and_then(|merge| merge.container.as_mut());
    client.upload_sent(leaf.into_iter().chain(merge).flat_map(|container| &mut container.files)).await?;
    Ok(client.deploy(spec).await?)
}

async fn wait_ready(
    client: &Client,
    mut service: ServiceView,
    silence: Millis,
    progress: &Progress,
) -> Result<ServiceView> {
    let name = name_of(&service);
    let mut readiness = Readiness::new(&name, Duration::from_millis(silence.0), Instant::now());
    while !service.ready {
        for line in readiness.look(&service, Instant::now()) {
            progress.say(&line);
        }
        if readiness.is_given_up(Instant::now()) {
            return Err(readiness.failure(&service, Instant::now()).into());
        }
        tokio::time::sleep(LOOK_EVERY).await;
        service = client.service(&name).await?;
    }
    progress.say(&format!("service {name} is ready: longshore query {name} -d TEXT"));
    Ok(service)
}

fn shards_of(spec: &ServiceSpec) -> u32 {
    spec.leaf.as_ref().map_or(0, |leaf| leaf.shards)
}

fn name_of(service: &ServiceView) -> String {
    service.spec.as_ref().map(|spec| spec.name.clone()).unwrap_or_default()
}
