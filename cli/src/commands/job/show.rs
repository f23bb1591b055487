//! `longshore job show`.

use anyhow::Result;

use crate::{args::job::JobId, context::Context, exit::Exit, views::JobDetail};

/// Shows one job.
pub async fn run(job: JobId, context: &Context) -> Result<Exit> {
    let job = context.connect().await?.job(&job.id).await?;
    context.printer.view(&JobDetail(job))?;
    Ok(Exit::Done)
}
