//! `longshore run`: submit, watch, fetch.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use longshore_client::{
    Client, OutDir, aims,
    v1::{JobState, JobView},
};

use super::submit;
use crate::{
    amounts,
    args::submission::{Submission, SubmissionArgs},
    context::Context,
    exit::Exit,
    follow::{self, Followed},
    interrupt::Interrupt,
    names,
    printer::Format,
    progress::Progress,
    summary,
    views::JobDetail,
};

/// Flags of `run`.
#[derive(Debug, Args)]
#[command(
    override_usage = "longshore run [OPTIONS] IMAGE INPUT... [-- CMD...]\n       longshore run [OPTIONS] -f SPEC INPUT...",
    after_help = "Examples:
  longshore run alpine 'texts/*.txt' -o counts/ -- sh -c 'wc -w < {in} > {out}'
  longshore run -f pipeline.yaml photos/ -o out/
  longshore run tools/resize photos/ -o small/ --retries 2 --timeout 1m -- resize {in} {out}
  longshore run alpine --each-line words.txt -N 100 -o counts/ -- wc -l
  longshore run tools/get --each-json pages.jsonl -o pages/ --network bridge -- wget -O {out} {url}
  longshore run alpine --each-line urls.txt -o pages/ --network bridge -- sh -c 'wget -qO {out} $(cat {in})'

Quote patterns: then every item keeps its path below the pattern's fixed part, and its outputs the same below -o.
In CMD, {in} is the input's path and {out} the output's; without them standard input and output are used.
Ctrl-C leaves the job running; `longshore cancel ID` stops it."
)]
pub struct RunArgs {
    #[command(flatten)]
    pub submission: SubmissionArgs,
    /// Directory the outputs are written to
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Print the job's id and leave
    #[arg(short, long, conflicts_with = "output")]
    pub detach: bool,
}

/// Submits, watches, fetches. The exit code says how the job ended.
pub async fn run(args: RunArgs, context: &Context) -> Result<Exit> {
    let submission = submit::prepare(&args.submission, args.output.as_deref(), context)?;
    if args.submission.dry_run {
        return submit::dry_run(submission, context);
    }
    let interrupt = Interrupt::listen();
    if args.detach {
        return submit::detached(submission, context, &interrupt).await;
    }
    // What cannot be written, or must not be, is better known before the work than after.
    let dir = args.output.as_deref().map(|dir| open(dir, &submission)).transpose()?;
    let client = context.connect().await?;
    let progress = Progress::new(&context.printer);
    let Some(answer) = submit::submit(&client, submission, &progress, &interrupt).await? else {
        return Ok(Exit::Interrupted);
    };
    let job = match follow::follow(&client, &answer.job_id, &progress, &interrupt).await? {
        Followed::Ended(job) => *job,
        Followed::Interrupted => return Ok(Exit::Interrupted),
    };
    let fetched = fetch(&client, &job, dir, &progress, &interrupt).await;
    progress.finish();
    summary::print(&client, &job, &context.printer).await?;
    let detached = fetched?;
    if context.printer.format() != Format::Table {
        context.printer.view(&JobDetail(job.clone()))?;
    }
    Ok(if detached { Exit::Interrupted } else { follow::exit_of(&job) })
}

/// The directory that outputs are written to, in which no output will replace an input.
fn open(dir: &Path, submission: &Submission) -> Result<OutDir> {
    let protected = aims::check(dir, &names::of_outputs(&submission.spec), &submission.inputs)?;
    Ok(OutDir::open(dir)?.protecting(protected))
}

/// Fetches what has succeeded, if there is a directory for it; answers whether Ctrl-C came in between.
async fn fetch(
    client: &Client,
    job: &JobView,
    dir: Option<OutDir>,
    progress: &Progress,
    interrupt: &Interrupt,
) -> Result<bool> {
    let later = format!("longshore job outputs {} -o DIR", job.job_id);
    let Some(dir) = dir else {
        let some = job.stages.last().is_some_and(|stage| stage.succeeded > 0);
        if some && job.state() != JobState::Cancelled {
            progress.say(&format!("outputs: {later}"));
        }
        return Ok(false);
    };
    let work = async {
        let outputs = client.outputs(&job.job_id).await?;
        client.fetch(outputs, dir, |fetched| progress.fetched(fetched)).await
    };
    tokio::select! {
        fetched = work => {
            let fetched = fetched?;
            progress.say(&format!(
                "fetched {} ({})",
                amounts::some(fetched.fetched, "output"),
                amounts::bytes(fetched.bytes)
            ));
            Ok(false)
        }
        () = interrupt.typed() => {
            progress.warn(&format!("not all outputs were fetched; fetch them with: {later}"));
            Ok(true)
        }
    }
}
