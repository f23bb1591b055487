//! Leaves and merges served over real sockets.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod leaf;
mod merge;
mod world;
mod written;
