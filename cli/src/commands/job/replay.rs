//! `longshore job replay`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::Args;
use longshore_client::{
    Client, Digest, escape, secret,
    v1::{ItemView, ItemsRequest, JobView, NamedBlob, Recipe, RecipeRequest, SecretValue},
};

use crate::{
    amounts, args::servers::CapacityArgs, context::Context, exit::Exit, failure::Failure, serve::replay, views,
};

/// Largest blob that is brought here, in bytes: it is held in memory.
const MAX_BYTES: u64 = 4 << 30;

/// Which item, and how.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  longshore job replay last a/b.txt
  longshore job replay last a/b.txt --keep replay/ --secret db-password=pw.txt
  longshore job replay last a/b.txt -- sh -c 'env; ls -l {in}'

The item is run on this machine with the same input, image, command, variables and bounds, and nothing is committed. The directory
that is kept has its input, its outputs, what it wrote, and a note of what was run. The image has to be on this machine's engine, or
its registry reachable from here. Secrets are not told by the coordinator: processes find only those that --secret gives.

Exit codes: 0 the item succeeded here, 3 it failed.")]
pub struct ReplayArgs {
    /// The job's id, the beginning or end of it, its name, or last
    #[arg(value_name = "JOB")]
    id: String,
    /// The item's path
    #[arg(value_name = "ITEM")]
    item: String,
    /// Its stage, where items of several have that path
    #[arg(long, value_name = "STAGE")]
    stage: Option<String>,
    /// Directory to keep everything in, new or empty; one below that for temporary files unless set
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// A secret of that name, with what is in the file; may be repeated
    #[arg(long, value_name = "NAME=FILE")]
    secret: Vec<String>,
    #[command(flatten)]
    capacity: CapacityArgs,
    /// Command to run instead
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Runs the item here.
pub async fn run(args: ReplayArgs, context: &Context) -> Result<Exit> {
    let client = context.connect().await?;
    let job = client.job(&args.id).await?;
    let item = find(&client, &job, &args).await?;
    let request = RecipeRequest { job_id: job.job_id.clone(), stage: item.stage, index: item.index };
    let mut recipe = client.recipe(request).await?;
    let secrets = give_secrets(&mut recipe, &args.secret, context)?;
    if !args.command.is_empty()
        && let Some(container) = recipe.stage.as_mut().and_then(|stage| stage.container.as_mut())
    {
        container.command.clone_from(&args.command);
    }
    let dir = kept(args.keep.as_deref())?;
    let note = note(&job, &item, &recipe, &args.command);
    write(&dir.join("replay.txt"), note.as_bytes())?;
    let blobs = fetch(&client, &recipe, &dir).await?;
    let ended = replay::run(replay::Replay { recipe, item, blobs, secrets, dir: dir.clone() }, &args.capacity).await?;
    for (name, log) in [("stdout.log", &ended.stdout), ("stderr.log", &ended.stderr)] {
        write(&dir.join(name), log)?;
    }
    context.printer.error_data(&ended.stderr);
    context.printer.data(&ended.stdout)?;
    let took = amounts::took(u64::try_from(ended.took.as_millis()).unwrap_or(u64::MAX));
    let place = escape::path(&dir);
    match &ended.failure {
        None => {
            let outputs = amounts::some(ended.outputs, "output");
            context.printer.note(&format!("it succeeded here in {took}, with {outputs}; everything is in {place}"));
            Ok(Exit::Done)
        }
        Some(failure) => {
            let (end, why) = (views::ending(failure), &failure.message);
            context.printer.warn(&format!("it failed here after {took} ({end}): {why}; everything is in {place}"));
            Ok(Exit::Partial)
        }
    }
}

async fn find(client: &Client, job: &JobView, args: &ReplayArgs) -> Result<ItemView> {
    let request = ItemsRequest {
        job_id: job.job_id.clone(),
        stages: args.stage.clone().into_iter().collect(),
        paths: vec![args.item.clone()],
        limit: 2,
        ..ItemsRequest::default()
    };
    let mut pages = client.items(request).await?;
    let mut found = Vec::new();
    while let Some(items) = pages.next_page().await? {
        found.extend(items);
    }
    match <[ItemView; 1]>::try_from(found) {
        Ok([only]) => Ok(only),
        Err(none) if none.is_empty() => {
            let failure = Failure::usage(format!("job {} has no item {}", job.job_id, escape::line(&args.item)));
            Err(failure.hint(format!("longshore job items {}", job.job_id)).into())
        }
        Err(_) => {
            let why = format!("items of several stages are called {}", escape::line(&args.item));
            Err(Failure::usage(why).hint("say which with --stage").into())
        }
    }
}

/// The secrets that were given; those that were not are taken out of the recipe, and that is said.
fn give_secrets(recipe: &mut Recipe, given: &[String], context: &Context) -> Result<Vec<SecretValue>> {
    let mut secrets = Vec::new();
    for given in given {
        let (name, path) = given
            .split_once('=')
            .ok_or_else(|| Failure::usage(format!("--secret is NAME=FILE, not {}", escape::line(given))))?;
        let value = fs::read(path).with_context(|| Failure::usage(format!("cannot read secret {name} from {path}")))?;
        secrets.push(SecretValue { name: name.to_owned(), version: 1, value: value.into() });
    }
    let Some(container) = recipe.stage.as_mut().and_then(|stage| stage.container.as_mut()) else {
        return Ok(secrets);
    };
    let has = |name: &str| secrets.iter().any(|secret| secret.name == name);
    let lacking: Vec<String> = secret::named(container).into_iter().filter(|name| !has(name)).map(Into::into).collect();
    if !lacking.is_empty() {
        let names = lacking.join(", ");
        context
            .printer
            .warn(&format!("the item is run without the secrets {names}: give them with --secret NAME=FILE"));
        container.secrets.retain(|secret| !lacking.contains(&secret.name));
        if lacking.contains(&container.pull_secret) {
            container.pull_secret.clear();
        }
    }
    let named: Vec<String> = secret::named(container).into_iter().map(Into::into).collect();
    secrets.retain(|secret| named.contains(&secret.name));
    Ok(secrets)
}

/// An empty directory.
fn kept(asked: Option<&Path>) -> Result<PathBuf> {
    let dir = match asked {
        None => tempfile::Builder::new().prefix("longshore-replay-").tempdir().context("no place to keep it")?.keep(),
        Some(dir) => {
            let cannot = || Failure::usage(format!("cannot use {}", escape::path(dir)));
            fs::create_dir_all(dir).with_context(cannot)?;
            if fs::read_dir(dir).with_context(cannot)?.next().is_some() {
                let failure = Failure::usage(format!("{} is not empty", escape::path(dir)));
                return Err(failure.hint("name a new directory with --keep").into());
            }
            dir.canonicalize().with_context(cannot)?
        }
    };
    Ok(dir)
}

fn note(job: &JobView, item: &ItemView, recipe: &Recipe, command: &[String]) -> String {
    let stage = recipe.stage.clone().unwrap_or_default();
    let container = stage.container.clone().unwrap_or_default();
    let image = Digest::try_from(&recipe.image).map(|digest| format!("@sha256:{digest}")).unwrap_or_default();
    let input = recipe.input.clone().unwrap_or_default();
    let digest = Digest::try_from(&input.digest).map(|digest| digest.to_string()).unwrap_or_default();
    let mut text = format!(
        "job: {} {}\nstage: {}\nitem: {}\ninput: {} bytes, BLAKE3 {digest}\nimage: {}{image}\n",
        job.job_id, job.name, stage.name, item.path, input.size, container.image
    );
    text.push_str(&format!("command: {:?} {:?}\n", container.entrypoint, container.command));
    if !command.is_empty() {
        text.push_str("(the command was given for this replay)\n");
    }
    text.push_str(&format!("\neverything that it was run with:\n{stage:#?}\n"));
    text
}

/// Brings what the item needs; its input is kept as a file too.
async fn fetch(client: &Client, recipe: &Recipe, dir: &Path) -> Result<Vec<(Digest, bytes::Bytes)>> {
    let container = recipe.stage.as_ref().and_then(|stage| stage.container.as_ref());
    let files = container.map_or(&[][..], |container| &container.files);
    let mut blobs = Vec::new();
    for blob in recipe.input.iter().chain(files) {
        let digest = Digest::try_from(&blob.digest).context("the coordinator names a blob by no digest")?;
        blobs.push((digest, client.blob(digest, MAX_BYTES).await?));
    }
    if let (Some(input), Some((_, bytes))) = (&recipe.input, blobs.first()) {
        write(&below(dir, "input", input)?, bytes)?;
    }
    Ok(blobs)
}

/// The place of a blob below a directory of ours.
fn below(dir: &Path, part: &str, blob: &NamedBlob) -> Result<PathBuf> {
    longshore_client::path::check(&blob.path)
        .with_context(|| format!("{} has a bad name", escape::line(&blob.path)))?;
    Ok(dir.join(part).join(&blob.path))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let cannot = || format!("cannot write {}", escape::path(path));
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(cannot)?;
    }
    fs::write(path, bytes).with_context(cannot)
}
