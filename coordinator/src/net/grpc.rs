//! The gRPC services: thin, around the use cases.

mod agent;
mod answer;
mod blobs;
mod jobs;
mod members;
mod secrets;
mod services;

pub use self::{
    agent::AgentService, blobs::BlobsService, jobs::JobsService, members::MembersService, secrets::SecretsService,
    services::ServicesService,
};
