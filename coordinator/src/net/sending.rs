//! Answers piece by piece, for whoever reads them; not for whoever does not.

use bytes::Bytes;
use longshore_proto::CHUNK_BYTES;
use longshore_root::Outstanding;
use tokio::{
    sync::mpsc,
    time::{Duration, Instant, timeout},
};

use super::streams::Cut;
use crate::limits;

/// What is given back when an answer is sent, or nobody reads it any more, and how that is known.
pub struct Until<H> {
    /// Such as a turn among the queries.
    pub held: H,
    /// What of the query's bytes has not gone.
    pub outstanding: Outstanding,
    /// Ends what nobody reads.
    pub cut: Cut,
}

/// Sends `pieces`, cut into chunks, and what comes `last`. Memory beside the pieces: one chunk, which shares theirs. What is handed on
/// may still wait for its reader: it is only sent once the last byte of it has gone.
pub fn send<T: Send + 'static, H: Send + 'static>(
    pieces: Vec<Bytes>,
    until: Until<H>,
    first: Option<T>,
    chunk: fn(Bytes) -> T,
    last: Option<T>,
) -> mpsc::Receiver<T> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let Until { held: _held, outstanding, cut } = until;
        let (began, mut sent) = (Instant::now(), 0);
        let chunks = pieces.into_iter().flat_map(chunks).map(|data| (data.len() as u64, chunk(data)));
        for (size, piece) in first.map(|first| (0, first)).into_iter().chain(chunks).chain(last.map(|last| (0, last))) {
            let slowest = limits::ANSWER_SILENCE + Duration::from_secs(sent / limits::ANSWER_PACE);
            let is_read = began.elapsed() <= slowest;
            if !is_read || !matches!(timeout(limits::ANSWER_SILENCE, sender.send(piece)).await, Ok(Ok(()))) {
                return cut.cut();
            }
            sent += size;
        }
        drop(sender);
        if timeout(limits::ANSWER_SILENCE, outstanding.gone()).await.is_err() {
            cut.cut();
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

    use longshore_root::{Account, Memory};
    use tokio::sync::{OwnedSemaphorePermit, Semaphore};

    use super::*;

    fn until(held: OwnedSemaphorePermit, account: &Account) -> Until<OwnedSemaphorePermit> {
        Until { held, outstanding: account.outstanding(), cut: Cut::of_this_stream() }
    }

    fn start(pieces: Vec<Bytes>) -> (Arc<Semaphore>, mpsc::Receiver<Bytes>) {
        let places = Arc::new(Semaphore::new(1));
        let place = Arc::clone(&places).try_acquire_owned().unwrap();
        let (first, last) = (Bytes::from_static(b"first"), Bytes::from_static(b"last"));
        let until = until(place, &Account::unbounded());
        (places, send(pieces, until, Some(first), |chunk| chunk, Some(last)))
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

    #[tokio::test(start_paused = true)]
    async fn what_was_handed_on_is_sent_once_its_bytes_have_gone() {
        let memory = Memory::new(64 << 20);
        let account = memory.account("").of("a");
        let places = Arc::new(Semaphore::new(1));
        let place = Arc::clone(&places).try_acquire_owned().unwrap();
        let pieces = vec![account.hold_now(4).unwrap().keep(Bytes::from_static(b"data"))];
        let mut receiver = send(pieces, until(place, &account), None, |chunk| chunk, None);
        let taken = receiver.recv().await.unwrap();
        assert!(receiver.recv().await.is_none());
        let waits = tokio::spawn(async move { places.acquire().await.map(drop) });
        tokio::time::sleep(limits::ANSWER_SILENCE / 2).await;
        assert!(!waits.is_finished() && memory.used() == 4);
        drop(taken);
        assert!(waits.await.unwrap().is_ok() && memory.used() == 0);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_takes_a_piece_a_minute_is_cut_off() {
        let (places, mut receiver) = start(vec![vec![7; 64 * CHUNK_BYTES].into()]);
        let mut taken = 0;
        while receiver.recv().await.is_some() {
            taken += 1;
            tokio::time::sleep(limits::ANSWER_SILENCE - Duration::from_secs(1)).await;
        }
        assert!(taken < 5, "{taken}");
        assert!(places.acquire().await.is_ok());
    }
}
