//! What is kept: the core's records in the store, and what they mean together with the blobs they name.

pub mod catalog;
pub mod keys;
mod lists;
mod outcomes;
pub mod records;
