//! `Services` over gRPC: deployments and queries.

use std::time::Duration;

use bytes::Bytes;
use longshore_proto::v1::{self, services_server};
use prost::Message;
use tonic::{Code, Request, Response, Status};

use super::answer::caller;
use crate::{
    api::{
        services::{Asked, QueryFailure, Services},
        views,
    },
    replica::QueryError,
};

/// The service.
pub struct ServicesService(pub Services);

#[tonic::async_trait]
impl services_server::Services for ServicesService {
    async fn deploy(&self, request: Request<v1::DeployRequest>) -> Result<Response<v1::ServiceView>, Status> {
        let caller = caller(&request)?;
        let spec = request.into_inner().spec.ok_or_else(|| Status::invalid_argument("no specification is given"))?;
        Ok(Response::new(self.0.deploy(&caller, spec).await?))
    }

    async fn list(
        &self,
        request: Request<v1::ListServicesRequest>,
    ) -> Result<Response<v1::ListServicesResponse>, Status> {
        let services = self.0.list(&caller(&request)?);
        Ok(Response::new(v1::ListServicesResponse { services }))
    }

    async fn get(&self, request: Request<v1::ServiceRequest>) -> Result<Response<v1::ServiceView>, Status> {
        Ok(Response::new(self.0.get(&caller(&request)?, request.into_inner().name)?))
    }

    async fn remove(
        &self,
        request: Request<v1::ServiceRequest>,
    ) -> Result<Response<v1::RemoveServiceResponse>, Status> {
        let caller = caller(&request)?;
        self.0.remove(&caller, request.into_inner().name).await?;
        Ok(Response::new(v1::RemoveServiceResponse {}))
    }

    async fn query(&self, request: Request<v1::QueryRequest>) -> Result<Response<v1::QueryResponse>, Status> {
        let caller = caller(&request)?;
        let v1::QueryRequest { service, body, deadline_ms, require } = request.into_inner();
        let deadline = (deadline_ms > 0).then(|| Duration::from_millis(deadline_ms));
        match self.0.ask(&caller, Asked { service, body, deadline, require }).await {
            Ok(answer) => Ok(Response::new(views::answer(answer))),
            Err(QueryFailure::Unasked(error)) => Err(error.into()),
            Err(QueryFailure::Failed(error)) => Err(query_status(&error)),
        }
    }
}

/// A failed query as a status; what became of every shard goes into its details.
fn query_status(error: &QueryError) -> Status {
    let (code, coverage) = match error {
        QueryError::TooFewParts { refused: true, coverage, .. } => (Code::InvalidArgument, Some(coverage)),
        QueryError::TooFewParts { timed_out: true, coverage, .. } => (Code::DeadlineExceeded, Some(coverage)),
        QueryError::TooFewParts { coverage, .. } => (Code::Unavailable, Some(coverage)),
        QueryError::Merge { coverage, .. } => (Code::Aborted, Some(coverage)),
        QueryError::PartsTooLarge { .. } => (Code::ResourceExhausted, None),
    };
    let details = coverage.map(|coverage| views::coverage(coverage).encode_to_vec()).unwrap_or_default();
    // Details travel in a header; a very wide service's would not fit.
    let details = if details.len() > 4_096 { Bytes::new() } else { details.into() };
    let message: String = error.to_string().chars().take(2_048).collect();
    Status::with_details(code, message, details)
}
