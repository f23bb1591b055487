//! The parts of a query as they come, for a merge that takes them up one by one. Whoever reads them reads all, from the first: a call
//! that failed may be made again of another replica.

use tokio::sync::watch;

use crate::message::Message;

/// Where parts are put in.
#[derive(Debug)]
pub struct Feed(watch::Sender<Come>);

/// Parts that come. Each clone reads for itself.
#[derive(Debug, Clone)]
pub struct Arriving(watch::Receiver<Come>);

#[derive(Debug, Default)]
struct Come {
    parts: Vec<(u32, Message)>,
    state: State,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// More may come.
    #[default]
    Open,
    /// These are all.
    Whole,
    /// Nobody wants them any more.
    Gone,
}

/// The query is over: no further part comes, and those that came are not all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the query is over")]
pub struct Over;

impl Feed {
    /// No part has come yet.
    #[must_use]
    pub fn new() -> (Self, Arriving) {
        let (feed, arriving) = watch::channel(Come::default());
        (Self(feed), Arriving(arriving))
    }

    /// A shard's part has come.
    pub fn add(&self, shard: u32, part: Message) {
        self.0.send_modify(|come| come.parts.push((shard, part)));
    }

    /// These are all.
    pub fn end(&self) {
        self.0.send_modify(|come| come.state = State::Whole);
    }
}

/// What is not read yet is let go, whoever still holds the other end.
impl Drop for Feed {
    fn drop(&mut self) {
        self.0.send_modify(|come| {
            come.parts = Vec::new();
            come.state = State::Gone;
        });
    }
}

impl Arriving {
    /// Waits for the part of this number, from 0, in the order in which they come; `None` when there are no more.
    ///
    /// # Errors
    /// When the query is over before that.
    pub async fn part(&mut self, number: usize) -> Result<Option<(u32, Message)>, Over> {
        let come = self.0.wait_for(|come| come.parts.len() > number || come.state != State::Open).await;
        let come = come.map_err(|_| Over)?;
        if come.state == State::Gone { Err(Over) } else { Ok(come.parts.get(number).cloned()) }
    }
}

impl PartialEq for Arriving {
    fn eq(&self, other: &Self) -> bool {
        self.0.same_channel(&other.0)
    }
}

impl Eq for Arriving {}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[tokio::test]
    async fn everybody_reads_all_parts_and_their_end_is_none_that_was_cut() {
        let (feed, mut first) = Feed::new();
        feed.add(3, Bytes::from("three").into());
        assert_eq!(first.part(0).await, Ok(Some((3, Bytes::from("three").into()))));
        let mut second = first.clone();
        let (next, ()) = tokio::join!(first.part(1), async { feed.add(0, Bytes::from("zero").into()) });
        assert_eq!(next, Ok(Some((0, Bytes::from("zero").into()))));
        feed.end();
        assert_eq!((first.part(2).await, second.part(1).await.unwrap().unwrap().0), (Ok(None), 0));
        drop(feed);
        assert_eq!((first.part(2).await, second.part(0).await), (Err(Over), Err(Over)));
    }
}
