//! `longshore job events`.

use anyhow::Result;
use clap::Args;
use longshore_client::v1::EventsRequest;

use crate::{context::Context, exit::Exit, interrupt::Interrupt, views::EventRows};

/// Which job, and whether to go on.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  longshore job events last
  longshore job events last --follow
  longshore job events last --format jsonl

The newest events of a job are in the coordinator's memory, some hundreds; none are from before its start. What the records say
of a job is shown all the same. Ctrl-C stops following; the job goes on.")]
pub struct EventsArgs {
    /// The job's id, the beginning or end of it, its name, or last
    #[arg(value_name = "JOB")]
    id: String,
    /// Go on until the job has ended
    #[arg(short, long)]
    follow: bool,
}

/// Lists what happened to a job.
pub async fn run(args: EventsArgs, context: &Context) -> Result<Exit> {
    let interrupt = Interrupt::listen();
    let client = context.connect().await?;
    let mut pages = client.events(EventsRequest { job_id: args.id, follow: args.follow }).await?;
    let mut rows = context.printer.rows();
    loop {
        let page = tokio::select! {
            page = pages.next() => page?,
            () = interrupt.typed() => return Ok(Exit::Interrupted),
        };
        let Some(page) = page else { break };
        if page.older_missing {
            context.printer.note("older events are not kept");
        }
        rows.print(&EventRows(page.events))?;
    }
    rows.finish(&EventRows(Vec::new()))?;
    Ok(Exit::Done)
}
