//! `Jobs` over gRPC.

use longshore_proto::v1::{self, jobs_server};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::answer::{Answers, answers, caller};
use crate::api::jobs::{Jobs, Watched};

/// The service.
pub struct JobsService(pub Jobs);

#[tonic::async_trait]
impl jobs_server::Jobs for JobsService {
    async fn submit(&self, request: Request<v1::SubmitRequest>) -> Result<Response<v1::SubmitResponse>, Status> {
        let caller = caller(&request)?;
        Ok(Response::new(self.0.submit(&caller, request.into_inner()).await?))
    }

    async fn list(&self, request: Request<v1::ListJobsRequest>) -> Result<Response<v1::ListJobsResponse>, Status> {
        let caller = caller(&request)?;
        let jobs = self.0.list(&caller, request.into_inner()).await?;
        Ok(Response::new(v1::ListJobsResponse { jobs }))
    }

    async fn get(&self, request: Request<v1::JobRequest>) -> Result<Response<v1::JobView>, Status> {
        let caller = caller(&request)?;
        Ok(Response::new(self.0.get(&caller, request.into_inner().job_id).await?))
    }

    type WatchStream = ReceiverStream<Result<v1::JobView, Status>>;

    async fn watch(&self, request: Request<v1::JobRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let caller = caller(&request)?;
        let watched = self.0.watch(&caller, request.into_inner().job_id).await?;
        let (out, stream) = mpsc::channel(1);
        tokio::spawn(send_views(watched, out));
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn cancel(&self, request: Request<v1::CancelJobRequest>) -> Result<Response<v1::JobView>, Status> {
        let caller = caller(&request)?;
        let v1::CancelJobRequest { job_id, reason } = request.into_inner();
        Ok(Response::new(self.0.cancel(&caller, job_id, reason).await?))
    }

    async fn retry(&self, request: Request<v1::RetryRequest>) -> Result<Response<v1::RetryResponse>, Status> {
        let caller = caller(&request)?;
        Ok(Response::new(self.0.retry(&caller, request.into_inner()).await?))
    }

    async fn pause(&self, request: Request<v1::PauseJobRequest>) -> Result<Response<v1::JobView>, Status> {
        let caller = caller(&request)?;
        Ok(Response::new(self.0.pause(&caller, request.into_inner()).await?))
    }

    async fn resume(&self, request: Request<v1::JobRequest>) -> Result<Response<v1::JobView>, Status> {
        let caller = caller(&request)?;
        Ok(Response::new(self.0.resume(&caller, request.into_inner().job_id).await?))
    }

    async fn change(&self, request: Request<v1::ChangeJobRequest>) -> Result<Response<v1::JobView>, Status> {
        let caller = caller(&request)?;
        Ok(Response::new(self.0.change(&caller, request.into_inner()).await?))
    }

    async fn remove(&self, request: Request<v1::RemoveJobRequest>) -> Result<Response<v1::RemoveJobResponse>, Status> {
        let caller = caller(&request)?;
        let job = self.0.remove(&caller, request.into_inner()).await?;
        Ok(Response::new(v1::RemoveJobResponse { job_id: job.to_string() }))
    }

    async fn explain(&self, request: Request<v1::JobRequest>) -> Result<Response<v1::Explanation>, Status> {
        let caller = caller(&request)?;
        Ok(Response::new(self.0.explain(&caller, request.into_inner().job_id).await?))
    }

    type EventsStream = Answers<v1::EventsPage>;

    async fn events(&self, request: Request<v1::EventsRequest>) -> Result<Response<Self::EventsStream>, Status> {
        let caller = caller(&request)?;
        Ok(Response::new(answers(self.0.events(&caller, request.into_inner()).await?)))
    }

    async fn recipe(&self, request: Request<v1::RecipeRequest>) -> Result<Response<v1::Recipe>, Status> {
        let caller = caller(&request)?;
        Ok(Response::new(self.0.recipe(&caller, request.into_inner()).await?))
    }

    type FollowLogsStream = Answers<v1::LogPiece>;

    async fn follow_logs(
        &self,
        request: Request<v1::FollowLogsRequest>,
    ) -> Result<Response<Self::FollowLogsStream>, Status> {
        let caller = caller(&request)?;
        Ok(Response::new(answers(self.0.follow_logs(&caller, request.into_inner()).await?)))
    }

    type ItemsStream = Answers<v1::ItemsPage>;

    async fn items(&self, request: Request<v1::ItemsRequest>) -> Result<Response<Self::ItemsStream>, Status> {
        let caller = caller(&request)?;
        Ok(Response::new(answers(self.0.items(&caller, request.into_inner()).await?)))
    }
}

/// Sends views until the job has ended, or the reader has gone.
async fn send_views(mut watched: Watched, out: mpsc::Sender<Result<v1::JobView, Status>>) {
    loop {
        let view = tokio::select! {
            view = watched.next() => view,
            () = out.closed() => return,
        };
        let Some(view) = view else { return };
        if out.send(view.map_err(Status::from)).await.is_err() {
            return;
        }
    }
}
