//! The use cases: what clients, people and workers can ask of a coordinator, whatever the transport. Each is handed who calls.

pub mod blobs;
pub mod caller;
mod items;
pub mod jobs;
pub mod services;
mod submission;
pub mod validate;
pub mod views;
