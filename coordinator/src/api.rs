//! The use cases: what clients and people can ask of a coordinator, whatever the transport.

pub mod items;
pub mod validate;
pub mod views;
