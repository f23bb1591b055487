//! The use cases: what clients, people and workers can ask of a coordinator, whatever the transport. Each is handed who calls.

pub mod admission;
pub mod blobs;
pub mod caller;
mod events;
mod explain;
mod files;
mod groups;
mod items;
pub mod jobs;
mod meaning;
pub mod members;
mod needs;
mod recipe;
pub mod secrets;
pub mod services;
mod submission;
pub mod tokens;
mod tree;
pub mod validate;
pub mod views;
