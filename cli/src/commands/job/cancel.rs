//! `longshore job cancel`.

use anyhow::Result;
use clap::Args;
use longshore_client::bounds::REASON_BYTES;

use crate::{
    context::Context,
    exit::Exit,
    spec::invalid::{Checked, Invalid},
    views::JobDetail,
};

/// Which job, and why.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  longshore cancel last
  longshore cancel 0198c2 --reason 'wrong pictures'

What runs is told to end (SIGTERM), and killed when it has not within its grace. Cancelling a cancelled job is no error.")]
pub struct CancelArgs {
    /// The job's id, the beginning or end of it, its name, or last
    #[arg(value_name = "JOB")]
    id: String,
    /// Kept and shown with the job
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, value_parser = reason)]
    reason: String,
}

/// Cancels. Nothing of the job commits afterwards.
pub async fn run(args: CancelArgs, context: &Context) -> Result<Exit> {
    let place = context.place()?;
    let job = context.connect().await?.cancel(&args.id, &args.reason).await?;
    context.printer.note(&format!("job {} cancelled at {place}", job.job_id));
    if context.printer.format() != crate::printer::Format::Table {
        context.printer.view(&JobDetail(job))?;
    }
    Ok(Exit::Done)
}

/// A reason, as it is kept with a job.
pub fn reason(text: &str) -> Checked<String> {
    match text.len() <= REASON_BYTES {
        true => Ok(text.to_owned()),
        false => Err(Invalid(format!("a reason has at most {REASON_BYTES} bytes"))),
    }
}
