//! Following one job to its end, across restarts of the coordinator.

use longshore_proto::v1::{JobRequest, JobState, JobView};
use tonic::Streaming;

use crate::{CallError, Client, escape, retry::Trouble};

/// Whether nothing of a job in that state runs any more. Every state is named, so that a further one does not count as an end
/// before somebody has decided that it is one.
#[must_use]
pub fn has_ended(state: JobState) -> bool {
    match state {
        JobState::Running => false,
        JobState::Succeeded | JobState::Failed | JobState::Cancelled | JobState::Unspecified => true,
    }
}

/// A job under watch.
///
/// ```text
/// (no stream) ── open ──► streaming ── view ──► streaming
///                             │ lost, or ended while the job runs ──► pause ──► (no stream)
///                             └ ended after the job ──► done
/// ```
#[derive(Debug)]
pub struct JobWatch {
    client: Client,
    id: String,
    stream: Option<Streaming<JobView>>,
    ended: bool,
}

impl JobWatch {
    pub(crate) fn new(client: Client, id: &str) -> JobWatch {
        JobWatch { client, id: id.to_owned(), stream: None, ended: false }
    }

    /// The job's next view; `None` once it has ended and its last view was given.
    ///
    /// Cancel safe. Fails when the job is unknown, or when the coordinator stays away through all retries.
    pub async fn next(&mut self) -> Result<Option<JobView>, CallError> {
        let patience = self.client.patience.clone();
        let heard = self.client.heard().clone();
        let mut trouble = Trouble::default();
        loop {
            if self.ended {
                return Ok(None);
            }
            let error = match patience.listening(Some(&heard), self.step()).await {
                Ok(Some(view)) => {
                    trouble.over(&patience);
                    return Ok(Some(self.seen(view)));
                }
                Ok(None) => self.went_away(),
                Err(error) => error,
            };
            self.stream = None;
            trouble.met(&patience, error).await?;
        }
    }

    async fn step(&mut self) -> Result<Option<JobView>, CallError> {
        let doing = format!("watch job `{}`", escape::line(&self.id));
        if self.stream.is_none() {
            let answer = self.client.jobs_rpc().watch(JobRequest { job_id: self.id.clone() }).await;
            self.stream = Some(answer.map_err(|s| self.client.failed(&doing, s))?.into_inner());
        }
        match self.stream.as_mut() {
            Some(stream) => stream.message().await.map_err(|s| self.client.failed(&doing, s)),
            None => Ok(None),
        }
    }

    /// Notes the id in full, so that a watch of "last" stays with its job, and whether this was the last view.
    fn seen(&mut self, view: JobView) -> JobView {
        self.id.clone_from(&view.job_id);
        self.ended = has_ended(view.state());
        view
    }

    fn went_away(&self) -> CallError {
        CallError::Lost {
            address: self.client.address().to_owned(),
            doing: format!("watch job `{}`", escape::line(&self.id)),
            cause: "it closed the stream while the job runs".to_owned(),
        }
    }
}
