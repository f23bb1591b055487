//! Jobs: submit, look, stop, try again.

use longshore_proto::v1::{
    CancelJobRequest, ItemView, ItemsPage, ItemsRequest, JobRequest, JobView, ListJobsRequest, SubmitRequest,
    SubmitResponse,
};
use tonic::Streaming;
use uuid::Uuid;

use crate::{CallError, Client, JobWatch, escape, retry};

impl Client {
    /// Submits a job whose inputs were uploaded before. Once this returns the job is durable and goes on by itself.
    ///
    /// A request with no idempotency key is given a random one, so that asking again after a lost answer never makes a
    /// second job.
    pub async fn submit(&self, mut request: SubmitRequest) -> Result<SubmitResponse, CallError> {
        if request.idempotency_key.is_empty() {
            request.idempotency_key = Uuid::new_v4().simple().to_string();
        }
        retry::again(|| {
            let (mut jobs, request) = (self.jobs_rpc(), request.clone());
            async move {
                let answer = jobs.submit(request).await;
                Ok(answer.map_err(|s| self.failed("submit the job", s))?.into_inner())
            }
        })
        .await
    }

    /// All jobs, newest first.
    pub async fn jobs(&self) -> Result<Vec<JobView>, CallError> {
        self.list_jobs(ListJobsRequest { all_namespaces: false }).await
    }

    /// The jobs of all namespaces, newest first: for admins alone.
    pub async fn jobs_of_all_namespaces(&self) -> Result<Vec<JobView>, CallError> {
        self.list_jobs(ListJobsRequest { all_namespaces: true }).await
    }

    async fn list_jobs(&self, request: ListJobsRequest) -> Result<Vec<JobView>, CallError> {
        let answer = self.jobs_rpc().list(request).await;
        Ok(answer.map_err(|s| self.failed("list jobs", s))?.into_inner().jobs)
    }

    /// One job, by id, by an unambiguous beginning of it, or `last`.
    pub async fn job(&self, id: &str) -> Result<JobView, CallError> {
        let answer = self.jobs_rpc().get(job_request(id)).await;
        Ok(answer.map_err(|s| self.failed(&doing("show", id), s))?.into_inner())
    }

    /// The job's view now and whenever it changes, until it has ended. Survives a restart of the coordinator.
    pub fn watch(&self, id: &str) -> JobWatch {
        JobWatch::new(self.clone(), id)
    }

    /// Ends the job; nothing of it commits after this returns. `reason` is kept and shown (at most 256 bytes).
    pub async fn cancel(&self, id: &str, reason: &str) -> Result<JobView, CallError> {
        let request = CancelJobRequest { job_id: id.to_owned(), reason: reason.to_owned() };
        let answer = self.jobs_rpc().cancel(request).await;
        Ok(answer.map_err(|s| self.failed(&doing("cancel", id), s))?.into_inner())
    }

    /// Puts the failed items of an ended job back into the queue; answers how many.
    pub async fn retry(&self, id: &str) -> Result<u64, CallError> {
        let answer = self.jobs_rpc().retry(job_request(id)).await;
        Ok(answer.map_err(|s| self.failed(&doing("retry", id), s))?.into_inner().items)
    }

    /// The items the request names, in order of stage and index.
    pub async fn items(&self, request: ItemsRequest) -> Result<Items, CallError> {
        let doing = doing("list the items of", &request.job_id);
        let answer = self.jobs_rpc().items(request).await;
        let pages = answer.map_err(|s| self.failed(&doing, s))?.into_inner();
        Ok(Items { client: self.clone(), doing, pages })
    }
}

/// Items of a job, page by page.
#[derive(Debug)]
pub struct Items {
    client: Client,
    doing: String,
    pages: Streaming<ItemsPage>,
}

impl Items {
    /// The next page; `None` at the end.
    pub async fn next_page(&mut self) -> Result<Option<Vec<ItemView>>, CallError> {
        let page = self.pages.message().await;
        Ok(page.map_err(|s| self.client.failed(&self.doing, s))?.map(|page| page.items))
    }
}

fn job_request(id: &str) -> JobRequest {
    JobRequest { job_id: id.to_owned() }
}

fn doing(verb: &str, id: &str) -> String {
    format!("{verb} job `{}`", escape::line(id))
}
