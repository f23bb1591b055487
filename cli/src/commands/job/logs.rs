//! `longshore job logs`.

use anyhow::Result;
use bytes::Bytes;
use clap::Args;
use longshore_client::{
    Client, Digest, escape,
    v1::{ItemState, ItemView, ItemsRequest, JobView},
};

use crate::{amounts, context::Context, exit::Exit, failure::Failure, printer::Printer};

/// Longest log fetched, in bytes; workers keep far less.
const MAX_LOG_BYTES: u64 = 64 * 1024 * 1024;

/// Whose logs.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  longshore logs last
  longshore logs last --failed
  longshore logs 0198c2 --item a/b.txt 2> err.txt

What an item wrote to standard output goes to standard output, and what it wrote to standard error to standard error.
On a terminal control characters are escaped; into a pipe or file bytes go as they are.")]
pub struct LogsArgs {
    /// The job's id, an unambiguous beginning of it, or last
    #[arg(value_name = "JOB")]
    id: String,
    /// Only items that failed
    #[arg(long)]
    failed: bool,
    /// Only the item of this path
    #[arg(long, value_name = "PATH")]
    item: Option<String>,
    /// Only items of this stage
    #[arg(long, value_name = "STAGE")]
    stage: Vec<String>,
}

/// Prints logs, item after item.
pub async fn run(args: LogsArgs, context: &Context) -> Result<Exit> {
    let client = context.connect().await?;
    let job = client.job(&args.id).await?;
    let mut items = client.items(request(&args, &job)).await?;
    let mut found = false;
    while let Some(page) = items.next_page().await? {
        for item in page {
            if args.item.as_ref().is_none_or(|path| *path == item.path) {
                found = true;
                print(&client, &job, &item, &context.printer).await?;
            }
        }
    }
    match args.item {
        Some(path) if !found => {
            let failure = Failure::usage(format!("job {} has no such item: {}", job.job_id, escape::line(&path)));
            Err(failure.hint(format!("longshore job show {}", job.job_id)).into())
        }
        _ => Ok(Exit::Done),
    }
}

fn request(args: &LogsArgs, job: &JobView) -> ItemsRequest {
    let state = if args.failed { ItemState::Failed } else { ItemState::Unspecified };
    ItemsRequest {
        job_id: job.job_id.clone(),
        stages: args.stage.clone(),
        state: state.into(),
        ..ItemsRequest::default()
    }
}

async fn print(client: &Client, job: &JobView, item: &ItemView, printer: &Printer) -> Result<()> {
    let stdout = log(client, &item.stdout_digest).await?;
    let mut stderr = log(client, &item.stderr_digest).await?;
    if let (true, Some(failure)) = (stderr.is_empty(), &item.failure) {
        // The last try of an item that is to be tried again has only its tail here.
        stderr = failure.stderr_tail.clone();
    }
    if stdout.is_empty() && stderr.is_empty() && item.failure.is_none() {
        return Ok(());
    }
    printer.note(&header(job, item));
    printer.error_data(&stderr);
    printer.data(&stdout)
}

async fn log(client: &Client, digest: &[u8]) -> Result<Bytes> {
    match Digest::try_from(digest) {
        Ok(digest) => Ok(client.blob(digest, MAX_LOG_BYTES).await?),
        Err(_) => Ok(Bytes::new()),
    }
}

/// `==> count: a/b.txt (failed after attempt 2 on w1 in 1.2s): exit code 3`
fn header(job: &JobView, item: &ItemView) -> String {
    let stage = job.stages.get(item.stage as usize).map_or("?", |stage| stage.name.as_str());
    let state = match item.state() {
        ItemState::Succeeded => "succeeded",
        ItemState::Failed => "failed",
        ItemState::Pending | ItemState::Unspecified => "not done",
    };
    let mut text = format!("==> {stage}: {} ({state} after attempt {}", item.path, item.attempts);
    if !item.worker.is_empty() {
        text.push_str(&format!(" on {} in {}", item.worker, amounts::took(item.duration_us / 1_000)));
    }
    text.push(')');
    if let Some(failure) = &item.failure {
        text.push_str(&format!(": {}", failure.message));
    }
    escape::line(&text)
}

#[cfg(test)]
mod tests {
    use longshore_client::v1::{Failure, StageView};

    use super::*;

    #[test]
    fn the_header_is_one_line_that_says_what_became_of_the_item() {
        let job = JobView {
            stages: vec![StageView { name: "count".to_owned(), ..StageView::default() }],
            ..JobView::default()
        };
        let item = ItemView {
            path: "a\nb".to_owned(),
            state: ItemState::Failed.into(),
            attempts: 2,
            worker: "w1".to_owned(),
            duration_us: 1_200_000,
            failure: Some(Failure { message: "exit code 3".to_owned(), ..Failure::default() }),
            ..ItemView::default()
        };
        assert_eq!(header(&job, &item), "==> count: a\\nb (failed after attempt 2 on w1 in 1.2s): exit code 3");
    }
}
