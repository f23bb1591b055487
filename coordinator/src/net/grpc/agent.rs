//! `Agent` over gRPC: the links to workers, and the streams for calls to their replicas.

use futures_util::{StreamExt as _, stream::Map};
use longshore_proto::v1::{self, agent_server, from_leaves, from_worker};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::answer::caller;
use crate::{
    error::Error,
    workers::{session::Agents, told::Told},
};

/// The service.
pub struct AgentService(pub Agents);

#[tonic::async_trait]
impl agent_server::Agent for AgentService {
    type LinkStream = Map<Told, fn(Result<v1::ToWorker, Error>) -> Result<v1::ToWorker, Status>>;

    async fn link(&self, request: Request<Streaming<v1::FromWorker>>) -> Result<Response<Self::LinkStream>, Status> {
        let caller = caller(&request)?;
        let mut up = request.into_inner();
        let hello = match up.message().await?.and_then(|first| first.message) {
            Some(from_worker::Message::Hello(hello)) => hello,
            _ => {
                return Err(Status::invalid_argument("the first message of a link is the hello"));
            }
        };
        let (link, told) = self.0.open(&caller, hello).await?;
        tokio::spawn(link.listen(up));
        Ok(Response::new(told.map(|told| told.map_err(Status::from))))
    }

    type LeavesStream = ReceiverStream<Result<v1::ToLeaves, Status>>;

    async fn leaves(
        &self,
        request: Request<Streaming<v1::FromLeaves>>,
    ) -> Result<Response<Self::LeavesStream>, Status> {
        let caller = caller(&request)?;
        let mut up = request.into_inner();
        let hello = match up.message().await?.and_then(|first| first.message) {
            Some(from_leaves::Message::Hello(hello)) => hello,
            _ => {
                return Err(Status::invalid_argument("the first message of this stream is the hello"));
            }
        };
        let (down, stream) = mpsc::channel(64);
        let (worker, tunnel) = self.0.open_tunnel(&caller, &hello, down).await?;
        let tunnels = self.0.tunnels.clone();
        tokio::spawn(async move {
            while let Ok(Some(message)) = up.message().await {
                tunnel.take_in(message);
            }
            tunnels.remove(worker, &tunnel);
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn workers(&self, request: Request<v1::WorkersRequest>) -> Result<Response<v1::WorkersResponse>, Status> {
        let workers = self.0.list(&caller(&request)?).await?;
        Ok(Response::new(v1::WorkersResponse { workers }))
    }
}
