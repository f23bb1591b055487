//! Watching a job to its end, or until Ctrl-C.

use anyhow::Result;
use longshore_client::{
    Client,
    v1::{JobState, JobView},
};

use crate::{exit::Exit, interrupt::Interrupt, progress::Progress};

/// How a watch ended.
#[derive(Debug)]
pub enum Followed {
    /// The job has ended; its last view.
    Ended(Box<JobView>),
    /// Ctrl-C; the job goes on.
    Interrupted,
}

/// Watches the job and shows its progress.
pub async fn follow(client: &Client, id: &str, progress: &Progress, interrupt: &Interrupt) -> Result<Followed> {
    let mut watch = client.watch(id);
    let mut last: Option<JobView> = None;
    loop {
        tokio::select! {
            view = watch.next() => match view? {
                Some(view) => {
                    progress.job(&view);
                    last = Some(view);
                }
                None => {
                    return last.map(|job| Followed::Ended(Box::new(job))).ok_or_else(|| anyhow::anyhow!("the watch showed nothing"));
                }
            },
            () = interrupt.typed() => {
                let id = last.map_or_else(|| id.to_owned(), |view| view.job_id);
                progress.finish();
                progress.warn(&goes_on(&id));
                return Ok(Followed::Interrupted);
            }
        }
    }
}

/// What to know after Ctrl-C.
fn goes_on(id: &str) -> String {
    let id = longshore_client::escape::line(id);
    format!(
        "job {id} goes on\n  watch:  longshore job watch {id}\n  fetch:  longshore wait {id} && longshore job outputs {id} -o DIR\n  \
         cancel: longshore cancel {id}"
    )
}

/// The exit code that says how the job ended.
pub fn exit_of(job: &JobView) -> Exit {
    match job.state() {
        JobState::Succeeded => Exit::Done,
        JobState::Failed => Exit::Partial,
        JobState::Cancelled => Exit::Cancelled,
        JobState::Running | JobState::Unspecified => Exit::Failed,
    }
}
