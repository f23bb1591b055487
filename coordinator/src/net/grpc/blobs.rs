//! `Blobs` over gRPC.

use std::sync::Arc;

use longshore_proto::{
    LINK_METADATA,
    v1::{self, blobs_server},
};
use tonic::{Request, Response, Status, Streaming};

use super::answer::{Answers, answers, caller};
use crate::{
    api::blobs::Blobs,
    members::allowance::Allowance,
    members::standing::Standing,
    net::{
        door::{Door, Rights},
        gate,
    },
    workers::sessions::Sessions,
};

/// The service.
pub struct BlobsService {
    pub blobs: Blobs,
    pub door: Option<Arc<Door>>,
    pub sessions: Arc<Sessions>,
}

impl BlobsService {
    /// Whether a request is of a worker whose link is up: it brings the outputs of accepted work.
    fn is_of_worker<T>(&self, request: &Request<T>) -> bool {
        let shown = request.metadata().get_bin(LINK_METADATA).and_then(|proof| proof.to_bytes().ok());
        shown.is_some_and(|proof| self.sessions.proves(&proof))
    }
}

#[tonic::async_trait]
impl blobs_server::Blobs for BlobsService {
    async fn missing(&self, request: Request<v1::MissingRequest>) -> Result<Response<v1::MissingResponse>, Status> {
        let caller = caller(&request)?;
        let digests = self.blobs.missing(&caller, request.into_inner().digests).await?;
        Ok(Response::new(v1::MissingResponse { digests }))
    }

    async fn put(&self, request: Request<Streaming<v1::PutRequest>>) -> Result<Response<v1::PutResponse>, Status> {
        let mut upload = self.blobs.put(&caller(&request)?, self.is_of_worker(&request))?;
        let mut steps = request.into_inner();
        while let Some(step) = steps.message().await? {
            upload = upload.step(step).await?;
        }
        Ok(Response::new(upload.finish().await?))
    }

    type GetStream = Answers<v1::GetResponse>;

    async fn get(&self, request: Request<v1::GetRequest>) -> Result<Response<Self::GetStream>, Status> {
        let allowance = request.extensions().get::<Arc<Allowance>>().map(Arc::as_ref);
        let blobs = self.blobs.get(&caller(&request)?, allowance, &request.get_ref().digests)?;
        Ok(Response::new(answers(blobs)))
    }

    async fn door(&self, request: Request<v1::DoorRequest>) -> Result<Response<v1::DoorResponse>, Status> {
        let caller = caller(&request)?;
        let rights = Rights {
            put: gate::may(&caller, "/longshore.v1.Blobs/Put") && self.blobs.ensure_may_put(&caller).is_ok(),
            get: gate::may(&caller, "/longshore.v1.Blobs/Get"),
            of_worker: self.is_of_worker(&request),
            namespace: caller.namespace.clone(),
            standing: request.extensions().get::<Standing>().cloned(),
        };
        let told = self.door.as_ref().and_then(|door| Some((door.path()?, door.ticket(rights)?)));
        let told = told.map(|(socket, ticket)| v1::DoorResponse { socket, ticket });
        Ok(Response::new(told.unwrap_or_default()))
    }
}
