//! `longshore job logs`.

use std::collections::HashSet;

use anyhow::Result;
use bytes::Bytes;
use clap::Args;
use longshore_client::{
    Client, Digest, escape, has_ended,
    v1::{FollowLogsRequest, ItemState, ItemView, ItemsRequest, JobView, LogPiece},
};
use serde_json::{Value, json};

use crate::{amounts, context::Context, exit::Exit, failure::Failure, interrupt::Interrupt, printer::Printer, views};

/// Longest log fetched, in bytes; workers keep far less.
const MAX_LOG_BYTES: u64 = 64 * 1024 * 1024;

/// Whose logs.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  longshore logs last
  longshore logs last --failed --tail 20
  longshore logs last -f
  longshore logs 456789ab a/b.txt 2> err.txt
  longshore logs last --stderr --format json

What an item wrote to standard output goes to standard output, and what it wrote to standard error to standard error.
On a terminal control characters are escaped; into a pipe or file bytes go as they are. With -f the logs of attempts come as
these end, until the job has ended. With --format json there is one value a line, for each item.")]
pub struct LogsArgs {
    /// The job's id, the beginning or end of it, its name, or last
    #[arg(value_name = "JOB")]
    id: String,
    /// Only items of these paths
    #[arg(value_name = "ITEM")]
    items: Vec<String>,
    /// Only items that failed
    #[arg(long)]
    failed: bool,
    /// The same as ITEM
    #[arg(long, value_name = "PATH")]
    item: Vec<String>,
    /// Only items of this stage
    #[arg(long, value_name = "STAGE")]
    stage: Vec<String>,
    /// Go on with what attempts write, as each of them ends, until the job has ended
    #[arg(short, long)]
    follow: bool,
    /// Only what was written to standard output
    #[arg(long, conflicts_with = "stderr")]
    stdout: bool,
    /// Only what was written to standard error
    #[arg(long)]
    stderr: bool,
    /// Only the last lines of each log
    #[arg(long, value_name = "LINES")]
    tail: Option<usize>,
}

/// Prints logs, item after item.
pub async fn run(mut args: LogsArgs, context: &Context) -> Result<Exit> {
    let interrupt = Interrupt::listen();
    let client = context.connect().await?;
    let job = client.job(&args.id).await?;
    args.items.append(&mut args.item);
    // Before the items are listed, so that none ends unseen in between.
    let mut pieces = match args.follow && !has_ended(job.state()) {
        true => Some(client.follow_logs(following(&args, &job)).await?),
        false => None,
    };
    let shown = Shown { args: &args, job: &job, printer: &context.printer };
    let mut items = client.items(request(&args, &job)).await?;
    let (mut found, mut known) = (false, HashSet::new());
    while let Some(page) = items.next_page().await? {
        for item in page {
            found = true;
            if pieces.is_some() && item.attempts > 0 {
                known.insert((item.stage, item.index, item.attempts));
            }
            let (stdout, stderr) = logs_of(&client, &item).await?;
            shown.print(&item, &header(&job, &item), &stdout, &stderr)?;
        }
    }
    while let Some(pieces) = &mut pieces {
        let piece = tokio::select! {
            piece = pieces.next() => piece?,
            () = interrupt.typed() => return Ok(Exit::Interrupted),
        };
        let Some(LogPiece { item, stdout, stderr, missed }) = piece else { break };
        if missed > 0 {
            let what = amounts::some(missed, "log");
            context.printer.note(&format!("{what} came too quickly; `longshore logs {}` shows them", job.job_id));
        }
        let item = item.unwrap_or_default();
        if !known.contains(&(item.stage, item.index, item.attempts)) && (!args.failed || item.failure.is_some()) {
            found = true;
            shown.print(&item, &live_header(&job, &item), &stdout, &stderr)?;
        }
    }
    if !found && !args.items.is_empty() {
        let paths = args.items.iter().map(|path| escape::line(path)).collect::<Vec<_>>().join(", ");
        let failure = Failure::usage(format!("job {} has no such item: {paths}", job.job_id));
        return Err(failure.hint(format!("longshore job items {}", job.job_id)).into());
    }
    Ok(Exit::Done)
}

fn request(args: &LogsArgs, job: &JobView) -> ItemsRequest {
    let state = if args.failed { ItemState::Failed } else { ItemState::Unspecified };
    ItemsRequest {
        job_id: job.job_id.clone(),
        stages: args.stage.clone(),
        state: state.into(),
        paths: args.items.clone(),
        ..ItemsRequest::default()
    }
}

fn following(args: &LogsArgs, job: &JobView) -> FollowLogsRequest {
    FollowLogsRequest { job_id: job.job_id.clone(), stages: args.stage.clone(), paths: args.items.clone() }
}

/// How logs are to be shown.
struct Shown<'a> {
    args: &'a LogsArgs,
    job: &'a JobView,
    printer: &'a Printer,
}

impl Shown<'_> {
    fn print(&self, item: &ItemView, header: &str, stdout: &[u8], stderr: &[u8]) -> Result<()> {
        let wanted = |log, unwanted| if unwanted { &[] } else { tail(log, self.args.tail) };
        let (stdout, stderr) = (wanted(stdout, self.args.stderr), wanted(stderr, self.args.stdout));
        if stdout.is_empty() && stderr.is_empty() && item.failure.is_none() {
            return Ok(());
        }
        if self.printer.is_for_programs() {
            return self.printer.json_line(&self.value(item, stdout, stderr));
        }
        self.printer.note(header);
        self.printer.error_data(stderr);
        self.printer.data(stdout)
    }

    fn value(&self, item: &ItemView, stdout: &[u8], stderr: &[u8]) -> Value {
        json!({
            "stage": stage_of(self.job, item),
            "path": item.path,
            "attempt": item.attempts,
            "worker": (!item.worker.is_empty()).then_some(&item.worker),
            "took_s": item.duration_us as f64 / 1e6,
            "end": item.failure.as_ref().map(views::ending),
            "message": item.failure.as_ref().map(|failure| &failure.message),
            "stdout": String::from_utf8_lossy(stdout),
            "stderr": String::from_utf8_lossy(stderr),
        })
    }
}

/// The last lines of a log; a line end at its very end ends the last one.
fn tail(log: &[u8], lines: Option<usize>) -> &[u8] {
    let Some(lines) = lines else { return log };
    if lines == 0 {
        return &[];
    }
    let body = log.strip_suffix(b"\n").unwrap_or(log);
    let mut ends = body.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at);
    ends.nth(lines - 1).map_or(log, |at| &log[at + 1..])
}

async fn logs_of(client: &Client, item: &ItemView) -> Result<(Bytes, Bytes)> {
    let stdout = log(client, &item.stdout_digest).await?;
    let mut stderr = log(client, &item.stderr_digest).await?;
    if let (true, Some(failure)) = (stderr.is_empty(), &item.failure) {
        // The last try of an item that is to be tried again has only its tail here.
        stderr = failure.stderr_tail.clone();
    }
    Ok((stdout, stderr))
}

async fn log(client: &Client, digest: &[u8]) -> Result<Bytes> {
    match Digest::try_from(digest) {
        Ok(digest) => Ok(client.blob(digest, MAX_LOG_BYTES).await?),
        Err(_) => Ok(Bytes::new()),
    }
}

fn stage_of<'a>(job: &'a JobView, item: &ItemView) -> &'a str {
    job.stages.get(item.stage as usize).map_or("?", |stage| stage.name.as_str())
}

/// `==> count: a/b.txt (attempt 2 failed on w1 in 1.2s): exit code 3`, of an attempt that has just ended.
fn live_header(job: &JobView, item: &ItemView) -> String {
    let end = if item.failure.is_some() { "failed" } else { "ended" };
    let took = amounts::took(item.duration_us / 1_000);
    let mut text = format!(
        "==> {}: {} (attempt {} {end} on {} in {took})",
        stage_of(job, item),
        item.path,
        item.attempts,
        item.worker
    );
    if let Some(failure) = &item.failure {
        text.push_str(&format!(": {}", failure.message));
    }
    escape::line(&text)
}

/// `==> count: a/b.txt (failed after attempt 2 on w1 in 1.2s): exit code 3`
fn header(job: &JobView, item: &ItemView) -> String {
    let stage = stage_of(job, item);
    let state = match item.state() {
        ItemState::Succeeded => "succeeded",
        ItemState::Failed => "failed",
        ItemState::Filtered => "filtered",
        ItemState::Pending | ItemState::Running | ItemState::Unspecified => "not done",
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
    fn the_tail_of_a_log_is_its_last_lines_ended_or_not() {
        let log = b"one\ntwo\nthree\n";
        assert_eq!((tail(log, Some(1)), tail(log, Some(2))), (&b"three\n"[..], &b"two\nthree\n"[..]));
        assert_eq!((tail(log, Some(9)), tail(log, None), tail(log, Some(0))), (&log[..], &log[..], &b""[..]));
        assert_eq!((tail(b"one\ntwo", Some(1)), tail(b"\n\n", Some(1))), (&b"two"[..], &b"\n"[..]));
        assert_eq!(tail(b"", Some(3)), b"");
    }

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
