//! What gRPC services share: who calls, and answers and errors as gRPC has them.

use futures_util::{StreamExt as _, stream::Map};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status};

use crate::{
    api::caller::Caller,
    error::Error,
    net::{codes, details},
};

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        details::status(codes::of(&error), &error.to_string(), None)
    }
}

/// Who makes a request. Behind the gate there is always somebody.
pub(super) fn caller<T>(request: &Request<T>) -> Result<Caller, Status> {
    request.extensions().get().cloned().ok_or_else(|| Status::unauthenticated("it is not known who calls"))
}

/// What a use case answers bit by bit.
pub(super) type Answers<T> = Map<ReceiverStream<Result<T, Error>>, fn(Result<T, Error>) -> Result<T, Status>>;

/// The same of a channel.
pub(super) fn answers<T: Send + 'static>(answers: mpsc::Receiver<Result<T, Error>>) -> Answers<T> {
    ReceiverStream::new(answers).map(|answer| answer.map_err(Status::from))
}
