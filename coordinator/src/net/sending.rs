//! Answers piece by piece, for whoever reads them; not for whoever does not.

use bytes::Bytes;
use longshore_proto::CHUNK_BYTES;
use tokio::{sync::mpsc, time::timeout};

use crate::limits;

/// Sends `pieces`, cut into chunks, and what comes `last`. What is `held` beside them, such as a turn among the queries, is given back when that is
/// done, or nobody reads any more. Memory beside the pieces: one chunk, which shares theirs.
pub fn send<T: Send + 'static, H: Send + 'static>(
    pieces: Vec<Bytes>,
    held: H,
    first: Option<T>,
    chunk: fn(Bytes) -> T,
    last: Option<T>,
) -> mpsc::Receiver<T> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let _held = held;
        let chunks = pieces.into_iter().flat_map(chunks).map(chunk);
        for piece in first.into_iter().chain(chunks).chain(last) {
            if !matches!(timeout(limits::ANSWER_SILENCE, sender.send(piece)).await, Ok(Ok(()))) {
                return;
            }
        }
    });
    receiver
}

fn chunks(mut piece: Bytes) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || (!piece.is_empty()).then(|| piece.split_to(piece.len().min(CHUNK_BYTES))))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Semaphore;

    use super::*;

    fn start(pieces: Vec<Bytes>) -> (Arc<Semaphore>, mpsc::Receiver<Bytes>) {
        let places = Arc::new(Semaphore::new(1));
        let place = Arc::clone(&places).try_acquire_owned().unwrap();
        let (first, last) = (Bytes::from_static(b"first"), Bytes::from_static(b"last"));
        (places, send(pieces, place, Some(first), |chunk| chunk, Some(last)))
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_sent_whole_in_chunks() {
        let large = Bytes::from(vec![7; CHUNK_BYTES + 1]);
        let (places, mut receiver) = start(vec![large, Bytes::new(), Bytes::from_static(b"x")]);
        let mut sizes = Vec::new();
        while let Some(piece) = receiver.recv().await {
            sizes.push(piece.len());
        }
        assert_eq!(sizes, [5, CHUNK_BYTES, 1, 1, 4]);
        assert!(places.acquire().await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_does_not_read_gives_its_place_back() {
        let (places, receiver) = start(vec![Bytes::from_static(b"x")]);
        let began = tokio::time::Instant::now();
        let _place = places.acquire().await.unwrap();
        assert_eq!(began.elapsed(), limits::ANSWER_SILENCE);
        drop(receiver);
    }
}
