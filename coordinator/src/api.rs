//! The use cases: what clients, people and workers can ask of a coordinator, whatever the transport. Each is handed who calls.

pub mod blobs;
pub mod caller;
mod items;
pub mod jobs;
pub mod members;
pub mod services;
mod submission;
pub mod tokens;
pub mod validate;
pub mod views;
