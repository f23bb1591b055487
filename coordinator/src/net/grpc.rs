//! The gRPC services: thin, around the use cases.

mod agent;
mod answer;
mod blobs;
mod jobs;
mod members;
mod services;

pub use self::{
    agent::AgentService, blobs::BlobsService, jobs::JobsService, members::MembersService, services::ServicesService,
};
