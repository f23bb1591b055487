//! `longshore job watch`.

use anyhow::Result;

use crate::{
    args::job::JobId,
    context::Context,
    exit::Exit,
    follow::{self, Followed},
    interrupt::Interrupt,
    progress::Progress,
    summary,
};

/// Watches a job until it has ended; the exit code says how.
pub async fn run(job: JobId, context: &Context) -> Result<Exit> {
    let interrupt = Interrupt::listen();
    let client = context.connect().await?;
    let progress = Progress::new(&context.printer);
    let job = match follow::follow(&client, &job.id, &progress, &interrupt).await? {
        Followed::Ended(job) => *job,
        Followed::Interrupted => return Ok(Exit::Interrupted),
    };
    progress.finish();
    summary::print(&client, &job, &context.printer).await?;
    Ok(follow::exit_of(&job))
}
