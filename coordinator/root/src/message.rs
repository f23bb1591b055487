//! What travels between a query's client, its leaves and its merge: bytes, and what their headers say of them.

use bytes::Bytes;
use http::HeaderMap;

use crate::share::Share;

/// Bytes and their headers. Which headers travel is for those who make one; the engine passes on what it is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// What the sender says of the bytes.
    pub head: HeaderMap,
    /// The bytes.
    pub body: Bytes,
}

/// What a leaf or a merge answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// What it made.
    pub message: Message,
    /// How much of its shard is in it, where it says itself that this is not all; `None` when it is whole.
    pub share: Option<Share>,
    /// Of a merge that took parts up as they came: how many it has read, where it says that these are not all.
    pub read: Option<u32>,
}

impl From<Bytes> for Message {
    fn from(body: Bytes) -> Self {
        Self { head: HeaderMap::new(), body }
    }
}

impl From<Bytes> for Part {
    fn from(body: Bytes) -> Self {
        Self { message: body.into(), ..Self::default() }
    }
}
