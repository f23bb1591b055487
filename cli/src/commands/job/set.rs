//! `longshore job set`.

use anyhow::Result;
use clap::Args;
use longshore_client::v1::{ChangeJobRequest, StageLimit};

use crate::{context::Context, exit::Exit, failure::Failure, printer::Format, views::JobDetail};

/// Which job, and what is to be different.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  longshore job set last --priority 10
  longshore job set 0198c2 --max-parallel resize=4 --max-parallel index=0

It holds for what is given out from now on; what runs goes on.")]
pub struct SetArgs {
    /// The job's id, an unambiguous beginning of it, or last
    #[arg(value_name = "JOB")]
    id: String,
    /// Higher goes first; 0 is normal; -1000 to 1000
    #[arg(long, value_name = "N", allow_negative_numbers = true, required_unless_present = "max_parallel")]
    priority: Option<i32>,
    /// Most attempts of a stage under way at once; 0 means no limit; may be repeated
    #[arg(long, value_name = "STAGE=N", value_parser = limit)]
    max_parallel: Vec<StageLimit>,
}

/// Changes it.
pub async fn run(args: SetArgs, context: &Context) -> Result<Exit> {
    let SetArgs { id, priority, max_parallel } = args;
    let job = context.connect().await?.change(ChangeJobRequest { job_id: id, priority, max_parallel }).await?;
    context.printer.note(&format!("job {} changed", job.job_id));
    if context.printer.format() != Format::Table {
        context.printer.view(&JobDetail(job))?;
    }
    Ok(Exit::Done)
}

fn limit(text: &str) -> Result<StageLimit, Failure> {
    let (stage, most) = text.rsplit_once('=').ok_or_else(|| Failure::usage("write STAGE=N"))?;
    let max_parallel = most.parse().map_err(|_| Failure::usage(format!("{most:?} is not a number of attempts")))?;
    Ok(StageLimit { stage: stage.to_owned(), max_parallel })
}
