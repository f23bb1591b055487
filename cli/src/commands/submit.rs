//! `longshore submit`: upload, submit, print the id.

use anyhow::Result;
use clap::Args;
use longshore_client::{
    Client,
    v1::{SubmitRequest, SubmitResponse},
};
use serde_json::json;

use crate::{
    amounts,
    args::submission::{Submission, SubmissionArgs},
    context::Context,
    exit::Exit,
    interrupt::Interrupt,
    progress::Progress,
    views::{DryRun, Named},
};

/// Flags of `submit`.
#[derive(Debug, Args)]
#[command(
    override_usage = "longshore submit [OPTIONS] IMAGE INPUT... [-- CMD...]\n       longshore submit [OPTIONS] -f SPEC INPUT...",
    after_help = "Examples:
  id=$(longshore submit alpine 'texts/*.txt' -- wc -w {in})
  longshore submit -f pipeline.yaml photos/ --idempotency-key nightly-2026-01-31
  find . -name '*.wav' -print0 | longshore submit tools/transcribe - -- transcribe {in} {out}"
)]
pub struct SubmitArgs {
    #[command(flatten)]
    pub submission: SubmissionArgs,
}

/// Submits and prints the id.
pub async fn run(args: SubmitArgs, context: &Context) -> Result<Exit> {
    let submission = prepare(&args.submission)?;
    if args.submission.dry_run {
        return dry_run(submission, context);
    }
    detached(submission, context, &Interrupt::listen()).await
}

/// Works out the job. Waits for disks and perhaps for standard input: it comes before anything else is begun.
pub fn prepare(args: &SubmissionArgs) -> Result<Submission> {
    args.submission()
}

/// Shows what would be submitted.
pub fn dry_run(submission: Submission, context: &Context) -> Result<Exit> {
    let Submission { spec, inputs, .. } = submission;
    context.printer.view(&DryRun { spec, inputs })?;
    Ok(Exit::Done)
}

/// Submits, prints the id, and leaves.
pub async fn detached(submission: Submission, context: &Context, interrupt: &Interrupt) -> Result<Exit> {
    let client = context.connect().await?;
    let progress = Progress::new(&context.printer);
    let Some(answer) = submit(&client, submission, &progress, interrupt).await? else {
        return Ok(Exit::Interrupted);
    };
    progress.finish();
    context.printer.view(&Named {
        value: json!({ "id": answer.job_id, "existed": answer.existed }),
        name: answer.job_id.clone(),
    })?;
    if context.printer.draws_progress() {
        context.printer.note(&format!("watch it with: longshore job watch {}", answer.job_id));
    }
    Ok(Exit::Done)
}

/// Uploads and submits; `None` when Ctrl-C came before the job was made.
pub async fn submit(
    client: &Client,
    submission: Submission,
    progress: &Progress,
    interrupt: &Interrupt,
) -> Result<Option<SubmitResponse>> {
    let items = submission.inputs.len() as u64;
    let lists = tokio::select! {
        lists = client.upload(submission.inputs, progress.upload()) => lists?,
        () = interrupt.typed() => {
            progress.finish();
            progress.warn("interrupted; nothing was submitted");
            return Ok(None);
        }
    };
    let request =
        SubmitRequest { idempotency_key: submission.idempotency_key, spec: Some(submission.spec), inputs: lists };
    let answer = client.submit(request).await?;
    progress.uploaded(&match answer.existed {
        true => format!("job {} was submitted before, under the same key", answer.job_id),
        false => format!("job {} submitted: {}", answer.job_id, amounts::some(items, "item")),
    });
    Ok(Some(answer))
}
