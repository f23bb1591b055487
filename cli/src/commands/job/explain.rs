//! `longshore job explain`.

use anyhow::Result;

use crate::{args::job::JobId, context::Context, exit::Exit, views::ExplanationView};

/// Says why what waits does.
pub async fn run(job: JobId, context: &Context) -> Result<Exit> {
    let explanation = context.connect().await?.explain(&job.id).await?;
    context.printer.view(&ExplanationView(explanation))?;
    Ok(Exit::Done)
}
