//! `longshore job resume`.

use anyhow::Result;

use crate::{args::job::JobIds, context::Context, exit::Exit};

/// Lets them go on.
pub async fn run(jobs: JobIds, context: &Context) -> Result<Exit> {
    let client = context.connect().await?;
    for id in &jobs.ids {
        let job = client.resume(id).await?;
        context.printer.note(&format!("job {} goes on", job.job_id));
    }
    Ok(Exit::Done)
}
