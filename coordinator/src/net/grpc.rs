//! The gRPC services, and the one place where errors become statuses.

mod agent;
mod blobs;
mod jobs;
mod services;

use longshore_blobs::{GetError, PutError};
use longshore_core::Refusal;
use tonic::Status;

pub use self::{
    agent::AgentService,
    blobs::BlobsService,
    jobs::JobsService,
    services::{Asked, QueryFailure, ServicesService},
};
use crate::{api::validate::Invalid, drive::Stopped, error::chain, kept::catalog::CatalogError};

impl From<Stopped> for Status {
    fn from(stopped: Stopped) -> Self {
        Status::unavailable(stopped.to_string())
    }
}

impl From<Invalid> for Status {
    fn from(invalid: Invalid) -> Self {
        Status::invalid_argument(invalid.to_string())
    }
}

/// A refusal of the core.
fn refused(refusal: &Refusal) -> Status {
    let text = refusal.to_string();
    match refusal {
        Refusal::NoSuchJob(_) | Refusal::NoSuchService(_) => Status::not_found(text),
        Refusal::ServiceExists(_) => Status::already_exists(text),
        Refusal::JobHasEnded(_) | Refusal::JobIsRunning(_) | Refusal::NothingFailed(_) => {
            Status::failed_precondition(text)
        }
    }
}

impl From<CatalogError> for Status {
    fn from(error: CatalogError) -> Self {
        tracing::error!(error = chain(&error), "something kept cannot be read");
        Status::data_loss(chain(&error))
    }
}

/// Room on the disk is the client's business too: it can try again later.
pub fn put_status(error: &PutError) -> Status {
    match error {
        PutError::Full { .. } => Status::resource_exhausted(chain(error)),
        PutError::Mismatch { .. } => Status::invalid_argument(chain(error)),
        _ => Status::internal(chain(error)),
    }
}

/// A blob that is missing is the client's business, one that is damaged is ours.
pub fn get_status(error: &GetError) -> Status {
    match error {
        GetError::NotFound { .. } => Status::not_found(chain(error)),
        _ => Status::data_loss(chain(error)),
    }
}
