//! `Services` over gRPC: deployments and queries.

use std::time::Duration;

use bytes::Bytes;
use longshore_proto::{
    head,
    v1::{self, answer_piece::Piece, services_server},
};
use longshore_root::{Account, CallError};
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status, metadata::MetadataMap};

use super::answer::caller;
use crate::{
    api::{
        services::{Answered, Asked, Outcome, QueryFailure, Services},
        views,
    },
    error::Error,
    limits,
    net::{
        bodies::OfQuery,
        details,
        sending::{self, Until},
        streams::Cut,
        whole::Whole,
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
        let (Answered { answer, turn, account }, cut) = self.answered(request).await?;
        if answer.size() > limits::ANSWER_BYTES as u64 {
            let words = format!(
                "the answer has {} bytes, and at most {} fit one message: ask by Services.Ask, or over HTTP",
                answer.size(),
                limits::ANSWER_BYTES
            );
            return Err(details::status(Code::ResourceExhausted, &words, Some(&views::coverage(&answer.coverage))));
        }
        // In one, and in one message: its bytes are there once more until it is read.
        let room = account.hold(answer.size(), Instant::now() + limits::QUERY_WAIT).await;
        let room = room.map_err(|error| Status::from(Error::from(error)))?;
        let mut response = Response::new(views::answer(&answer, answer.whole()));
        if answer.size() > limits::SMALL_ANSWER_BYTES {
            response.extensions_mut().insert(Whole::new(room, turn, account.outstanding()));
        }
        tell(response.metadata_mut(), cut);
        Ok(response)
    }

    type AskStream = ReceiverStream<Result<v1::AnswerPiece, Status>>;

    async fn ask(&self, request: Request<v1::QueryRequest>) -> Result<Response<Self::AskStream>, Status> {
        let (Answered { answer, turn, account }, cut) = self.answered(request).await?;
        let first = v1::AnswerHead {
            coverage: Some(views::coverage(&answer.coverage)),
            complete: answer.coverage.is_complete(),
            head: head::to_wire(&answer.head),
            size: answer.size(),
        };
        let end = views::answer(&answer, Bytes::new());
        let (first, end) = (piece(Piece::Head(first)), piece(Piece::End(end)));
        let until = Until { held: turn, outstanding: account.outstanding(), cut: Cut::of_this_stream() };
        let sent = sending::send(answer.pieces, until, Some(first), |data| piece(Piece::Data(data)), Some(end));
        let mut response = Response::new(ReceiverStream::new(sent));
        tell(response.metadata_mut(), cut);
        Ok(response)
    }
}

impl ServicesService {
    /// The answer, and what its time was cut to.
    async fn answered(&self, mut request: Request<v1::QueryRequest>) -> Result<(Answered, Option<Duration>), Status> {
        let caller = caller(&request)?;
        let counted = request.extensions_mut().remove::<OfQuery>().and_then(|query| query.take());
        let (account, held) = counted.unwrap_or_else(|| (self.0.account(&caller), None));
        let mut asked = asked(request, account);
        if let Some(held) = held {
            asked.body = held.keep(asked.body);
        }
        let Outcome { answered, cut } = self.0.ask(&caller, asked).await;
        let answered = answered.map_err(|failure| {
            let mut status = status(failure);
            tell(status.metadata_mut(), cut);
            status
        });
        Ok((answered?, cut))
    }
}

/// Tells what the time of a query was cut to.
fn tell(metadata: &mut MetadataMap, cut: Option<Duration>) {
    if let Some(cut) = cut.and_then(|cut| u64::try_from(cut.as_millis()).ok()) {
        metadata.insert(head::DEADLINE_MS, cut.into());
    }
}

fn piece(piece: Piece) -> Result<v1::AnswerPiece, Status> {
    Ok(v1::AnswerPiece { piece: Some(piece) })
}

/// What is asked. Traces are where gRPC's own are, unless the query says otherwise.
fn asked(request: Request<v1::QueryRequest>, account: Account) -> Asked {
    let (metadata, _, query) = request.into_parts();
    let v1::QueryRequest { service, body, deadline_ms, require, head: fields } = query;
    let mut said = head::chosen(&metadata.into_headers(), &head::OF_TRACES);
    said.extend(head::from_wire(&fields, head::OF_BYTES.iter().chain(&head::OF_QUERIES)));
    let deadline = (deadline_ms > 0).then(|| Duration::from_millis(deadline_ms));
    Asked { service, body, head: said, deadline, require, account }
}

fn status(failure: QueryFailure) -> Status {
    match failure {
        QueryFailure::Unasked(error) => error.into(),
        QueryFailure::Failed(error) => query_status(&error),
    }
}

/// A failed query as a status; what became of every shard goes into its details.
fn query_status(error: &QueryError) -> Status {
    let (code, coverage) = match error {
        QueryError::TooFewParts { no_room: true, coverage, .. }
        | QueryError::Merge { cause: CallError::NoRoom(_), coverage } => (Code::ResourceExhausted, Some(coverage)),
        QueryError::TooFewParts { refused: true, coverage, .. } => (Code::InvalidArgument, Some(coverage)),
        QueryError::TooFewParts { timed_out: true, coverage, .. } => (Code::DeadlineExceeded, Some(coverage)),
        QueryError::TooFewParts { coverage, .. } => (Code::Unavailable, Some(coverage)),
        QueryError::Merge { cause: CallError::Late(_), coverage } => (Code::DeadlineExceeded, Some(coverage)),
        QueryError::Merge { coverage, .. } | QueryError::Join { coverage, .. } => (Code::Aborted, Some(coverage)),
        QueryError::PartsTooLarge { .. } => (Code::ResourceExhausted, None),
    };
    let coverage = coverage.map(views::coverage);
    details::status(code, &error.to_string(), coverage.as_ref())
}
