//! `longshore job wait`.

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use longshore_client::{Client, v1::JobView};

use crate::{
    context::Context,
    exit::Exit,
    failure::Failure,
    follow,
    printer::Format,
    spec::quantity::Millis,
    views::{self, JobDetail},
};

/// Which job, and how long.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  longshore wait last
  longshore wait 0198c2 --timeout 10m || echo \"exit code $?\"

Exit codes: 0 succeeded, 3 some items failed, 9 cancelled, 124 timed out.")]
pub struct WaitArgs {
    /// The job's id, the beginning or end of it, its name, or last
    #[arg(value_name = "JOB")]
    id: String,
    /// Longest wait
    #[arg(long, value_name = "TIME")]
    timeout: Option<Millis>,
}

/// Waits; the exit code says how the job ended.
pub async fn run(args: WaitArgs, context: &Context) -> Result<Exit> {
    let client = context.connect().await?;
    // Whatever it was called, one job is meant, and named in what follows.
    let id = client.job(&args.id).await?.job_id;
    let ended = ended(&client, &id);
    let job = match args.timeout {
        None => ended.await?,
        Some(Millis(millis)) => match tokio::time::timeout(Duration::from_millis(millis), ended).await {
            Ok(job) => job?,
            Err(_) => {
                let failure = Failure::new(Exit::TimedOut, format!("job {id} has not ended yet"));
                return Err(failure.hint(format!("longshore job show {id}")).into());
            }
        },
    };
    match context.printer.format() {
        Format::Table => context.printer.note(&format!(
            "job {} {}; {} done",
            job.job_id,
            views::state_word(job.state()),
            views::progress_of(&job)
        )),
        _ => context.printer.view(&JobDetail(job.clone()))?,
    }
    Ok(follow::exit_of(&job))
}

async fn ended(client: &Client, id: &str) -> Result<JobView> {
    let mut watch = client.watch(id);
    let mut last = None;
    while let Some(view) = watch.next().await? {
        last = Some(view);
    }
    last.ok_or_else(|| anyhow::anyhow!("the watch showed nothing"))
}
