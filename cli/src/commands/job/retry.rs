//! `longshore job retry`.

use anyhow::Result;
use longshore_client::escape;

use crate::{amounts, args::job::JobId, context::Context, exit::Exit};

/// Puts failed items back into the queue.
pub async fn run(job: JobId, context: &Context) -> Result<Exit> {
    let items = context.connect().await?.retry(&job.id).await?;
    context.printer.note(&format!(
        "{} of job {} back in the queue",
        amounts::some(items, "item"),
        escape::line(&job.id)
    ));
    Ok(Exit::Done)
}
