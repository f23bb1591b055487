//! A job's inputs, for those who ask for neighbours one after another: these are in one list.

use std::sync::Arc;

use longshore_proto::{Digest, v1::NamedBlob};

use super::{
    error::CatalogError,
    lists::{List, Lists},
    messages::LIST,
    submission::Submission,
};

/// A job's inputs.
pub struct Inputs {
    submission: Arc<Submission>,
    /// The list that was read last.
    list: Option<(Digest, Arc<List>)>,
}

impl Inputs {
    pub fn new(submission: Arc<Submission>) -> Self {
        Self { submission, list: None }
    }

    /// One of them.
    pub fn get(&mut self, lists: &Lists, index: u64) -> Result<NamedBlob, CatalogError> {
        let nowhere = || CatalogError::NoInput { stage: 0, index };
        let (digest, at) = self.submission.place(index).ok_or_else(nowhere)?;
        let list = match &self.list {
            Some((known, list)) if *known == digest => list,
            _ => &self.list.insert((digest, lists.get(self.submission.room(), digest)?)).1,
        };
        let entry = list.entry(at).ok_or_else(nowhere)?;
        entry.map_err(|source| CatalogError::Malformed { what: LIST, source })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use longshore_proto::v1::{BlobList, BlobListRef, SubmitRequest};

    use super::{super::messages::tests::messages, *};

    #[test]
    fn inputs_are_found_in_their_lists_in_any_order_and_none_beyond_them() {
        let (_dir, messages) = messages();
        let lists = Lists::default();
        let blob = |at: u64| NamedBlob { path: format!("file {at}"), size: at, ..NamedBlob::default() };
        let kept = [0..3, 3..4, 4..9].map(|range| {
            let list = BlobList { blobs: range.map(blob).collect() };
            let digest = messages.put(&list).unwrap().to_wire();
            BlobListRef { digest, count: list.blobs.len() as u64, size: 0 }
        });
        let request = SubmitRequest { inputs: kept.into(), ..SubmitRequest::default() };
        let mut inputs = Inputs::new(Arc::new(Submission::new(Arc::clone(&messages), request).unwrap()));
        for index in (0..9).chain([8, 0, 3, 4]) {
            assert_eq!(inputs.get(&lists, index).unwrap(), blob(index));
        }
        assert!(matches!(inputs.get(&lists, 9), Err(CatalogError::NoInput { index: 9, .. })));
    }

    #[test]
    fn a_list_that_is_gone_is_said_to_be() {
        let (_dir, messages) = messages();
        let gone = BlobListRef { digest: Bytes::from(vec![7; 32]), count: 1, size: 0 };
        let request = SubmitRequest { inputs: vec![gone], ..SubmitRequest::default() };
        let mut inputs = Inputs::new(Arc::new(Submission::new(messages, request).unwrap()));
        assert!(matches!(inputs.get(&Lists::default(), 0), Err(CatalogError::Blob { .. })));
    }
}
