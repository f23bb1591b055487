//! Jobs: submit, look, stop, try again.

use longshore_proto::v1::{
    CancelJobRequest, ChangeJobRequest, EventsPage, EventsRequest, Explanation, FollowLogsRequest, ItemView, ItemsPage,
    ItemsRequest, JobRequest, JobView, ListJobsRequest, LogPiece, PauseJobRequest, Recipe, RecipeRequest,
    RemoveJobRequest, RetryRequest, RetryResponse, SubmitRequest, SubmitResponse,
};
use tonic::Streaming;
use uuid::Uuid;

use crate::{CallError, Client, JobWatch, escape};

impl Client {
    /// Submits a job whose inputs were uploaded before. Once this returns the job is durable and goes on by itself.
    ///
    /// A request with no idempotency key is given a random one, so that asking again after a lost answer never makes a
    /// second job.
    pub async fn submit(&self, mut request: SubmitRequest) -> Result<SubmitResponse, CallError> {
        if request.idempotency_key.is_empty() {
            request.idempotency_key = Uuid::new_v4().simple().to_string();
        }
        self.again(|| {
            let (mut jobs, request) = (self.jobs_rpc(), request.clone());
            async move {
                let answer = jobs.submit(request).await;
                Ok(answer.map_err(|s| self.failed("submit the job", s))?.into_inner())
            }
        })
        .await
    }

    /// The jobs that are asked for, newest first.
    pub async fn jobs(&self, request: ListJobsRequest) -> Result<Vec<JobView>, CallError> {
        self.again(|| async {
            let answer = self.jobs_rpc().list(request.clone()).await;
            Ok(answer.map_err(|s| self.failed("list jobs", s))?.into_inner().jobs)
        })
        .await
    }

    /// One job, by its id, an unambiguous beginning or end of that, its name, or `last`.
    pub async fn job(&self, id: &str) -> Result<JobView, CallError> {
        self.again(|| async {
            let answer = self.jobs_rpc().get(job_request(id)).await;
            Ok(answer.map_err(|s| self.failed(&doing("show", id), s))?.into_inner())
        })
        .await
    }

    /// The job's view now and whenever it changes, until it has ended. Survives a restart of the coordinator.
    pub fn watch(&self, id: &str) -> JobWatch {
        JobWatch::new(self.clone(), id)
    }

    /// Ends the job; nothing of it commits after this returns. `reason` is kept and shown (at most 256 bytes).
    pub async fn cancel(&self, id: &str, reason: &str) -> Result<JobView, CallError> {
        let request = CancelJobRequest { job_id: id.to_owned(), reason: reason.to_owned() };
        self.again(|| async {
            let answer = self.jobs_rpc().cancel(request.clone()).await;
            Ok(answer.map_err(|s| self.failed(&doing("cancel", id), s))?.into_inner())
        })
        .await
    }

    /// Puts the failed items of an ended job back into the queue, and lets it go on with what had not ended; answers how many there
    /// are of both.
    pub async fn retry(&self, request: RetryRequest) -> Result<RetryResponse, CallError> {
        let id = request.job_id.clone();
        let answer = self.jobs_rpc().retry(request).await;
        Ok(answer.map_err(|s| self.failed(&doing("retry", &id), s))?.into_inner())
    }

    /// Gives nothing more of the job out; with `stop` what runs is stopped too, and runs anew later. `reason` is kept and shown (at
    /// most 256 bytes).
    pub async fn pause(&self, id: &str, reason: &str, stop: bool) -> Result<JobView, CallError> {
        let request = PauseJobRequest { job_id: id.to_owned(), reason: reason.to_owned(), stop };
        self.again(|| async {
            let answer = self.jobs_rpc().pause(request.clone()).await;
            Ok(answer.map_err(|s| self.failed(&doing("pause", id), s))?.into_inner())
        })
        .await
    }

    /// Gives the job out again.
    pub async fn resume(&self, id: &str) -> Result<JobView, CallError> {
        self.again(|| async {
            let answer = self.jobs_rpc().resume(job_request(id)).await;
            Ok(answer.map_err(|s| self.failed(&doing("resume", id), s))?.into_inner())
        })
        .await
    }

    /// Changes terms of the job, also while it runs.
    pub async fn change(&self, request: ChangeJobRequest) -> Result<JobView, CallError> {
        let doing = doing("change", &request.job_id);
        let answer = self.jobs_rpc().change(request).await;
        Ok(answer.map_err(|s| self.failed(&doing, s))?.into_inner())
    }

    /// Removes a job that has ended, or with `force` any; answers its id.
    pub async fn remove_job(&self, id: &str, force: bool) -> Result<String, CallError> {
        let request = RemoveJobRequest { job_id: id.to_owned(), force };
        let answer = self.jobs_rpc().remove(request).await;
        Ok(answer.map_err(|s| self.failed(&doing("remove", id), s))?.into_inner().job_id)
    }

    /// The items the request names, in order of stage and index.
    pub async fn items(&self, request: ItemsRequest) -> Result<Items, CallError> {
        let doing = doing("list the items of", &request.job_id);
        let ask = || async {
            let answer = self.jobs_rpc().items(request.clone()).await;
            Ok::<_, CallError>(answer.map_err(|s| self.failed(&doing, s))?.into_inner())
        };
        let pages = self.again(ask).await?;
        Ok(Items { client: self.clone(), doing, pages })
    }

    /// Why what of the job waits does not run.
    pub async fn explain(&self, id: &str) -> Result<Explanation, CallError> {
        self.again(|| async {
            let answer = self.jobs_rpc().explain(job_request(id)).await;
            Ok(answer.map_err(|s| self.failed(&doing("explain", id), s))?.into_inner())
        })
        .await
    }

    /// What happened to a job lately; with `follow` also what happens until it has ended.
    pub async fn events(&self, request: EventsRequest) -> Result<Told<EventsPage>, CallError> {
        let doing = doing("list the events of", &request.job_id);
        let answer = self.jobs_rpc().events(request).await;
        let told = answer.map_err(|s| self.failed(&doing, s))?.into_inner();
        Ok(Told { client: self.clone(), doing, told })
    }

    /// What one item is run with.
    pub async fn recipe(&self, request: RecipeRequest) -> Result<Recipe, CallError> {
        let doing = doing("look up an item of", &request.job_id);
        let answer = self.jobs_rpc().recipe(request).await;
        Ok(answer.map_err(|s| self.failed(&doing, s))?.into_inner())
    }

    /// What attempts of a job write, as they end from now on, until the job has ended.
    pub async fn follow_logs(&self, request: FollowLogsRequest) -> Result<Told<LogPiece>, CallError> {
        let doing = doing("follow the logs of", &request.job_id);
        let answer = self.jobs_rpc().follow_logs(request).await;
        let told = answer.map_err(|s| self.failed(&doing, s))?.into_inner();
        Ok(Told { client: self.clone(), doing, told })
    }
}

/// What is told of a job, one after the other.
#[derive(Debug)]
pub struct Told<T> {
    client: Client,
    doing: String,
    told: Streaming<T>,
}

impl<T> Told<T> {
    /// The next; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<T>, CallError> {
        self.told.message().await.map_err(|s| self.client.failed(&self.doing, s))
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
