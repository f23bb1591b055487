//! A search engine: each leaf ranks the documents of its shard, the merge ranks them all.
//!
//! Documents are ranked by how many words of the query they have, then by how often, then by their path. All of it is
//! known within one shard and compared, never added up across shards, so the ranking is the same however the documents
//! are spread. (A weight such as *tf-idf* would need to know all shards.)

pub mod index;
pub mod ranking;

use merger_sdk::{Answer, AnswerError, Covered, Leaf, MergePartials, Request, ServeError};

use self::{index::Index, ranking::Found};

/// The leaf: answers from an index in memory.
#[derive(Debug)]
pub struct SearchLeaf(Index);

impl Leaf for SearchLeaf {
    fn answer(&self, request: &Request) -> Result<Answer, AnswerError> {
        let words = index::query_words(request.text()?).map_err(|error| AnswerError::BadRequest(error.to_string()))?;
        let found = self.0.search(&words).map_err(|error| AnswerError::Failed(format!("{error:#}")))?;
        Answer::json(&Covered::one(found))
    }
}

/// Serves the leaf: it is ready once all files below `$LONGSHORE_DATA` are in the index.
///
/// # Errors
/// When the data cannot be read or the server cannot listen.
pub fn serve_leaf() -> Result<(), ServeError> {
    merger_sdk::load_and_serve_leaf(|place| {
        let data = place.data_dir().map_err(|error| error.to_string())?;
        Index::of_directory(data).map(SearchLeaf).map_err(|error| format!("{error:#}"))
    })
}

/// Serves the merge.
///
/// # Errors
/// When the server cannot listen.
pub fn serve_merge() -> Result<(), ServeError> {
    merger_sdk::serve_merge(MergePartials::<Found>::new())
}
