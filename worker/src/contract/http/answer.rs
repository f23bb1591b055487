//! The body of a server's answer: bounded, and put where it is wanted as it arrives.

use std::{
    future::{Future, ready},
    io,
};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Body as _;
use longshore_root::NoMemory;

use super::pool::Answer;

/// Most bytes of a refusal's body that are shown.
const WORDS: usize = 200;

/// Where the bytes of an answer go.
pub(crate) trait Sink: Send {
    /// So many bytes are said to come.
    fn expect(&mut self, _: u64) -> impl Future<Output = Result<(), Untaken>> + Send {
        ready(Ok(()))
    }

    /// Takes the next piece.
    fn take(&mut self, piece: Bytes) -> impl Future<Output = Result<(), Untaken>> + Send;
}

/// Why a piece was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Untaken {
    /// The disk's trouble.
    #[error("the answer cannot be kept")]
    Disk(#[from] io::Error),
    /// There is no memory for it.
    #[error(transparent)]
    NoRoom(#[from] NoMemory),
}

/// Why an answer was not read to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unread {
    /// The server broke off.
    #[error("the server broke off")]
    Broken(#[source] hyper::Error),
    /// It is larger than it may be.
    #[error("the answer is larger than it may be")]
    TooLarge,
    /// Our own trouble.
    #[error(transparent)]
    Untaken(#[from] Untaken),
}

/// Reads an answer of at most so many bytes.
pub(crate) async fn read(mut answer: Answer, most_bytes: u64, sink: &mut impl Sink) -> Result<(), Unread> {
    let mut size = 0;
    match answer.size_hint().exact() {
        Some(said) if said > most_bytes => return Err(Unread::TooLarge),
        Some(said) => sink.expect(said).await?,
        None => {}
    }
    while let Some(frame) = answer.frame().await {
        let Ok(piece) = frame.map_err(Unread::Broken)?.into_data() else { continue };
        size += piece.len() as u64;
        if size > most_bytes {
            return Err(Unread::TooLarge);
        }
        sink.take(piece).await?;
    }
    Ok(())
}

/// The beginning of an answer, raw.
pub(crate) async fn first_words(mut answer: Answer) -> Bytes {
    let mut words = Vec::new();
    while words.len() < WORDS
        && let Some(Ok(frame)) = answer.frame().await
    {
        if let Ok(piece) = frame.into_data() {
            words.extend_from_slice(&piece[..piece.len().min(WORDS)]);
        }
    }
    words.truncate(WORDS);
    words.into()
}
