//! Write leaves and merges for Longshore in a page of code.
//!
//! A Longshore service is a scatter/gather tree (Burns & Oppenheimer, *Design patterns for container-based distributed
//! systems*, section 5.3): every query goes to one leaf of each shard, and a merge joins their parts into one answer.
//! The user supplies two containers, the leaf and the merge; this crate is what is inside them when they are written in
//! Rust and stay up as servers (interface `http`). Nobody is obliged to use it: any server that speaks the interface
//! will do.
//!
//! # A leaf and its merge
//!
//! The leaf answers for its shard with a [`Partial`] result; the merge is the partial result's own `merge`:
//!
//! ```no_run
//! use merger_sdk::{Answer, AnswerError, Covered, Partial, Request};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Default, Serialize, Deserialize)]
//! struct Lines {
//!     matching: u64,
//! }
//!
//! impl Partial for Lines {
//!     fn merge(&mut self, other: Self) {
//!         self.matching += other.matching;
//!     }
//! }
//!
//! fn count(request: &Request) -> Result<Answer, AnswerError> {
//!     let word = request.text()?;
//!     let path = request.place().data_dir()?.join("lines.txt");
//!     let text = std::fs::read_to_string(&path)
//!         .map_err(|error| AnswerError::Failed(format!("{}: {error}", path.display())))?;
//!     let matching = text.lines().filter(|line| line.contains(word)).count() as u64;
//!     Answer::json(&Covered::one(Lines { matching }))
//! }
//!
//! fn main() -> Result<(), merger_sdk::ServeError> {
//!     match std::env::args().nth(1).as_deref() {
//!         Some("merge") => merger_sdk::serve_merge(merger_sdk::MergePartials::<Lines>::new()),
//!         _ => merger_sdk::serve_leaf(count),
//!     }
//! }
//! ```
//!
//! The answer of such a merge is again a part, with the coverage added up, so the same image serves at any level of a
//! tree. [`laws`] has the checks that keep it so; [`Total`], [`Best`], [`Listed`], pairs and maps of partial results keep them already.
//!
//! # Piece by piece
//!
//! [`Answer::written`] sends an answer while it is made. A merge of a service with `merge: {stream: true}` takes up each part as its leaf
//! answers; once [`Partial::is_enough`] (or [`Merge::is_enough`]) says so, it answers, and the leaves that are still at work are given up.
//!
//! # What the server does
//!
//! It listens on the unix socket `$LONGSHORE_SOCKET` if that is set, else on TCP port `$PORT` (8080 when unset) and
//! speaks HTTP/1.1. `GET /healthz` answers 200 when ready and 503 before; `POST /` is a request. Leaves and merges are
//! plain synchronous code on a bounded number of threads of their own, so one that computes for long delays neither
//! `/healthz` nor the acceptance of others. [`Options`] has the bounds.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may fail where it stands"))]

mod answer;
mod deadline;
mod error;
mod handler;
pub mod laws;
mod leaf;
mod merge;
mod partial;
mod parts;
mod pieces;
mod place;
mod pool;
mod ready;
mod request;
mod serve;
mod server;
mod writing;

pub use answer::Answer;
pub use bytes::Bytes;
pub use error::AnswerError;
pub use leaf::{Leaf, Loading};
pub use merge::{Merge, MergeRequest, Part};
pub use partial::{Coverage, Covered, MergePartials, Partial};
pub use pieces::Pieces;
pub use place::{Place, PlaceError};
pub use ready::{Best, Listed, Total};
pub use request::Request;
pub use serve::{ServeError, load_and_serve_leaf, serve_leaf, serve_merge};
pub use server::{Listener, Options, Server};
