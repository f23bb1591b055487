//! `longshore submit`: upload, submit, print the id.

use std::path::Path;

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
    failure::Failure,
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
  longshore submit -f report.yaml totals/ --after \"$id\"
  find . -name '*.wav' -print0 | longshore submit tools/transcribe - -- transcribe {in} {out}"
)]
pub struct SubmitArgs {
    #[command(flatten)]
    pub submission: SubmissionArgs,
}

/// Submits and prints the id.
pub async fn run(args: SubmitArgs, context: &Context) -> Result<Exit> {
    let submission = prepare(&args.submission, None, context)?;
    if args.submission.dry_run {
        return dry_run(submission, context);
    }
    detached(submission, context, &Interrupt::listen()).await
}

/// Works out the job. Waits for disks and perhaps for standard input: it comes before anything else is begun.
pub fn prepare(args: &SubmissionArgs, output: Option<&Path>, context: &Context) -> Result<Submission> {
    args.submission(output, &mut |note| context.printer.note(note))
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
    mut submission: Submission,
    progress: &Progress,
    interrupt: &Interrupt,
) -> Result<Option<SubmitResponse>> {
    // Before anything is uploaded; and what is submitted names them wholly, so that it means the same when it is repeated.
    for id in submission.spec.after.iter_mut().chain(&mut submission.spec.after_any) {
        *id = client.job(id).await?.job_id;
    }
    let left_out = submission.left_out.take();
    let containers = submission.spec.stages.iter_mut().filter_map(|stage| stage.container.as_mut());
    let sent = containers.flat_map(|container| &mut container.files);
    let upload = async {
        client.upload_sent(sent).await?;
        client.upload(submission.inputs, left_out.clone(), progress.upload()).await
    };
    let lists = tokio::select! {
        lists = upload => lists?,
        () = interrupt.typed() => {
            progress.finish();
            progress.warn("interrupted; nothing was submitted");
            return Ok(None);
        }
    };
    if let Some(told) = left_out.map(|left_out| left_out.told()).filter(|told| told.count > 0) {
        told.first.iter().for_each(|line| progress.warn(&format!("left out: {line}")));
        progress.warn(&format!("left out because they cannot be used: {}", amounts::some(told.count, "input")));
    }
    let items = lists.iter().map(|list| list.count).sum();
    if items == 0 {
        return Err(Failure::usage("no input can be used").into());
    }
    let request =
        SubmitRequest { idempotency_key: submission.idempotency_key, spec: Some(submission.spec), inputs: lists };
    let answer = client.submit(request).await?;
    progress.uploaded(&match answer.existed {
        true => format!("job {} was submitted before, under the same key", answer.job_id),
        false => format!("job {} submitted: {}", answer.job_id, amounts::some(items, "item")),
    });
    Ok(Some(answer))
}
