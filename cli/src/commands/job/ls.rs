//! `longshore job ls`.

use anyhow::Result;

use crate::{context::Context, exit::Exit, views::JobList};

/// Lists jobs.
pub async fn run(context: &Context) -> Result<Exit> {
    let jobs = context.connect().await?.jobs().await?;
    context.printer.view(&JobList(jobs))?;
    Ok(Exit::Done)
}
