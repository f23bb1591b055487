//! Example leaves, merges and stages, and the programs of the demo.
//!
//! - [`words`] → [`drop`](mod@drop) → [`total`]: a work queue of three stages. Plain programs, which know nothing of
//!   Longshore: a path or standard input in, standard output out.
//! - [`search`]: a search engine as a scatter/gather tree, with the `merger-sdk`.
//! - [`echo`]: the smallest leaf.
//! - [`demo`]: all of them in one program, so that one image of one file holds them.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may fail where it stands"))]

pub mod counts;
pub mod demo;
pub mod drop;
pub mod echo;
pub mod search;
pub mod total;
pub mod words;
