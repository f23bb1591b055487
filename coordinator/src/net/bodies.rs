//! Bodies of queries as they come: counted against the memory of queries, and given up where they drip.
//!
//! A body has [`limits::QUERY_BODY_GRACE`] to come, and beyond that as long as it comes at [`limits::QUERY_BODY_PACE`]: whoever
//! sends a byte now and then holds a connection, a request's turn and what has come, and is not waited for.

use std::{
    error::Error as StdError,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use longshore_root::{Account, Filling, Held, NoMemory};
use tokio::time::{Instant, timeout_at};
use tonic::Status;
use tower_http::timeout::TimeoutError;

use crate::limits;

/// Why a body is not here.
#[derive(Debug, thiserror::Error)]
pub enum NoBody {
    /// It does not come, or too slowly.
    #[error("the body of the query did not come in time")]
    Late,
    /// It is too large.
    #[error("a query has at most {} bytes", limits::QUERY_BYTES)]
    TooLarge,
    /// There is no memory for it.
    #[error(transparent)]
    NoRoom(#[from] NoMemory),
    /// It broke off.
    #[error("the body of the query cannot be read: {0}")]
    Broken(axum::Error),
}

/// A body that is being read, and since when.
struct Coming {
    body: BodyDataStream,
    began: Instant,
    bytes: u64,
}

impl Coming {
    fn new(body: Body) -> Self {
        Self { body: body.into_data_stream(), began: Instant::now(), bytes: 0 }
    }

    /// The next piece; `None` after the last.
    async fn next(&mut self) -> Result<Option<Bytes>, NoBody> {
        let until = self.began + limits::QUERY_BODY_GRACE + Duration::from_secs(self.bytes / limits::QUERY_BODY_PACE);
        let piece = timeout_at(until, self.body.next()).await.map_err(|_| NoBody::Late)?;
        let piece =
            piece.transpose().map_err(|error| if is_timeout(&error) { NoBody::Late } else { NoBody::Broken(error) })?;
        self.bytes += piece.as_ref().map_or(0, |piece| piece.len() as u64);
        Ok(piece)
    }
}

fn is_timeout(error: &(dyn StdError + 'static)) -> bool {
    error.is::<TimeoutError>() || error.source().is_some_and(is_timeout)
}

/// Until when room for a body is waited for.
fn waits_until() -> Instant {
    Instant::now() + limits::QUERY_WAIT
}

/// Reads a whole body, whose bytes are the account's.
///
/// # Errors
/// When it does not come whole, in time, and within the bound.
pub async fn read(body: Body, account: &Account) -> Result<Bytes, NoBody> {
    let (mut coming, mut filling) = (Coming::new(body), Filling::new(account));
    while let Some(piece) = coming.next().await? {
        if filling.len() + piece.len() > limits::QUERY_BYTES {
            return Err(NoBody::TooLarge);
        }
        filling.push(piece, waits_until()).await?;
    }
    Ok(filling.whole())
}

/// The account of a query that is still being read, and the room for what has come of it.
#[derive(Clone)]
pub struct OfQuery(Arc<Mutex<Counted>>);

struct Counted {
    account: Option<Account>,
    held: Option<Held>,
}

impl OfQuery {
    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For whoever answers the query: once.
    pub fn take(&self) -> Option<(Account, Option<Held>)> {
        let mut counted = self.lock();
        Some((counted.account.take()?, counted.held.take()))
    }

    fn add(&self, more: Held) {
        let mut counted = self.lock();
        match &mut counted.held {
            Some(held) => held.join(more),
            None => counted.held = Some(more),
        }
    }
}

/// A body that is read by gRPC's own means, for which room is taken as it comes; and whoever holds that room.
pub fn counted(body: Body, account: Account) -> (Body, OfQuery) {
    let lent = account.lent();
    let query = OfQuery(Arc::new(Mutex::new(Counted { account: Some(account), held: None })));
    (Body::from_stream(pieces(Coming::new(body), lent, query.clone())), query)
}

fn pieces(coming: Coming, account: Account, query: OfQuery) -> impl Stream<Item = Result<Bytes, Status>> {
    stream::unfold(Some((coming, account, query)), async |state| {
        let (mut coming, account, query) = state?;
        match next(&mut coming, &account, &query).await {
            Ok(Some(piece)) => Some((Ok(piece), Some((coming, account, query)))),
            Ok(None) => None,
            Err(why) => Some((Err(status(&why)), None)),
        }
    })
}

async fn next(coming: &mut Coming, account: &Account, query: &OfQuery) -> Result<Option<Bytes>, NoBody> {
    let Some(piece) = coming.next().await? else { return Ok(None) };
    query.add(account.hold(piece.len() as u64, waits_until()).await?);
    Ok(Some(piece))
}

fn status(why: &NoBody) -> Status {
    match why {
        NoBody::Late => Status::deadline_exceeded(why.to_string()),
        NoBody::NoRoom(error) => crate::error::Error::from(*error).into(),
        NoBody::TooLarge => Status::invalid_argument(why.to_string()),
        NoBody::Broken(_) => Status::cancelled(why.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use longshore_root::Memory;
    use tokio_stream::wrappers::ReceiverStream;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A body of so many pieces of this size, with this pause between them.
    fn pieces(count: usize, size: usize, pause: Duration) -> Body {
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        tokio::spawn(async move {
            for _ in 0..count {
                if sender.send(Ok::<_, axum::Error>(Bytes::from(vec![7; size]))).await.is_err() {
                    return;
                }
                tokio::time::sleep(pause).await;
            }
        });
        Body::from_stream(ReceiverStream::new(receiver))
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_line_brings_a_body_and_one_that_drips_is_given_up() {
        let memory = Memory::new(64 << 20);
        let account = memory.account("somebody");
        let slow = read(pieces(96, 32 << 10, SECOND), &account).await.unwrap();
        assert_eq!((slow.len(), memory.used()), (3 << 20, 3 << 20));
        let began = Instant::now();
        let drips = read(pieces(1_000, 1, SECOND), &account).await;
        assert!(matches!(drips, Err(NoBody::Late)), "{drips:?}");
        assert_eq!(began.elapsed(), limits::QUERY_BODY_GRACE);
        drop(slow);
        assert_eq!(memory.used(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_has_bounds_and_waits_for_room_for_a_while() {
        let account = Memory::new(64 << 20).account("somebody");
        let large = read(pieces(4, 1 << 20, Duration::ZERO), &account).await;
        assert!(matches!(large, Err(NoBody::TooLarge)), "{large:?}");
        let memory = Memory::new(8 << 20);
        let account = memory.account("somebody");
        let _others = memory.account("others").of("a").hold_now(3 << 20).unwrap();
        let began = Instant::now();
        let full = read(pieces(2, 1 << 20, Duration::ZERO), &account).await;
        assert!(matches!(full, Err(NoBody::NoRoom(NoMemory::Now { .. }))), "{full:?}");
        assert_eq!(began.elapsed(), limits::QUERY_WAIT);
    }
}
