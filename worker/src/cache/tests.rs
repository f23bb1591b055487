//! The cache before a fetcher that counts.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::stream;

use super::*;

const SIZE: usize = SMALL_BLOB_BYTES + 1;

fn blob(number: u8) -> Vec<u8> {
    vec![number; SIZE]
}

fn nobody() -> Arc<str> {
    "".into()
}

fn digest(number: u8) -> blake3::Hash {
    blake3::hash(&blob(number))
}

/// Where blobs come from: knows those of [`blob`], counts, and may be held up.
struct Origin {
    fetches: AtomicUsize,
    gate: tokio::sync::Semaphore,
    /// What it says instead.
    lie: Option<Vec<u8>>,
}

impl Origin {
    fn new(open: bool, lie: Option<Vec<u8>>) -> Arc<Self> {
        let gate = tokio::sync::Semaphore::new(if open { 1_000 } else { 0 });
        Arc::new(Self { fetches: AtomicUsize::new(0), gate, lie })
    }

    fn fetcher(self: &Arc<Self>) -> Fetcher {
        let origin = Arc::clone(self);
        Arc::new(move |_, digest, _| {
            let origin = Arc::clone(&origin);
            async move {
                origin.fetches.fetch_add(1, Ordering::SeqCst);
                origin.gate.acquire().await.unwrap().forget();
                let known = (0..=255).map(blob).find(|bytes| blake3::hash(bytes) == digest);
                let bytes = origin.lie.clone().or(known).ok_or(FetchError::Missing { digest })?;
                let pieces: Vec<_> = bytes.chunks(10_000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
                Ok(stream::iter(pieces).boxed())
            }
            .boxed()
        })
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }
}

use futures_util::StreamExt as _;

async fn file(cache: &Cache, number: u8) -> CachedFile {
    match cache.fetch(&nobody(), digest(number), SIZE as u64).await.unwrap() {
        Blob::File(file) => file,
        Blob::Bytes(_) => panic!("in memory"),
    }
}

#[tokio::test]
async fn a_blob_is_fetched_once_and_kept() {
    let (dir, origin) = (tempfile::tempdir().unwrap(), Origin::new(true, None));
    let cache = Cache::open(dir.path(), 1 << 30, origin.fetcher()).unwrap();
    for _ in 0..3 {
        assert_eq!(std::fs::read(file(&cache, 1).await.path()).unwrap(), blob(1));
    }
    assert_eq!(origin.fetches(), 1);
    assert_eq!(cache.bytes(), SIZE as u64);
}

#[tokio::test]
async fn callers_of_one_blob_share_one_transfer() {
    let (dir, origin) = (tempfile::tempdir().unwrap(), Origin::new(false, None));
    let cache = Cache::open(dir.path(), 1 << 30, origin.fetcher()).unwrap();
    let (first, second) = (file(&cache, 1), file(&cache, 1));
    let open = async { origin.gate.add_permits(1) };
    futures_util::future::join3(first, second, open).await;
    assert_eq!(origin.fetches(), 1);
}

#[tokio::test]
async fn a_transfer_survives_the_caller_who_gave_up() {
    let (dir, origin) = (tempfile::tempdir().unwrap(), Origin::new(false, None));
    let cache = Cache::open(dir.path(), 1 << 30, origin.fetcher()).unwrap();
    let first = cache.fetch(&nobody(), digest(1), SIZE as u64);
    drop(first);
    origin.gate.add_permits(1);
    file(&cache, 1).await;
    assert_eq!(origin.fetches(), 1);
}

#[tokio::test]
async fn what_is_not_the_blob_is_refused_and_not_kept() {
    for lie in [blob(2), blob(1)[1..].to_vec(), vec![1; SIZE + 1]] {
        let (dir, origin) = (tempfile::tempdir().unwrap(), Origin::new(true, Some(lie)));
        let cache = Cache::open(dir.path(), 1 << 30, origin.fetcher()).unwrap();
        let error = cache.fetch(&nobody(), digest(1), SIZE as u64).await.unwrap_err();
        assert!(matches!(error, FetchError::Corrupt { .. }), "{error}");
        assert_eq!((cache.bytes(), std::fs::read_dir(dir.path()).unwrap().count()), (0, 0));
    }
}

#[tokio::test]
async fn small_blobs_pass_through_as_bytes() {
    let (dir, origin) = (tempfile::tempdir().unwrap(), Origin::new(true, Some(b"small".to_vec())));
    let cache = Cache::open(dir.path(), 0, origin.fetcher()).unwrap();
    let Blob::Bytes(bytes) = cache.fetch(&nobody(), blake3::hash(b"small"), 5).await.unwrap() else { panic!("a file") };
    assert_eq!(bytes, "small");
    assert!(cache.fetch(&nobody(), blake3::hash(b"other"), 5).await.is_err());
}

#[tokio::test]
async fn room_is_made_by_what_was_used_longest_ago() {
    let (dir, origin) = (tempfile::tempdir().unwrap(), Origin::new(true, None));
    let cache = Cache::open(dir.path(), 2 * SIZE as u64, origin.fetcher()).unwrap();
    file(&cache, 1).await;
    file(&cache, 2).await;
    file(&cache, 1).await;
    file(&cache, 3).await;
    assert_eq!((origin.fetches(), cache.bytes()), (3, 2 * SIZE as u64));
    file(&cache, 1).await;
    assert_eq!(origin.fetches(), 3, "1 was used after 2");
    file(&cache, 2).await;
    assert_eq!(origin.fetches(), 4);
}

#[tokio::test]
async fn what_is_in_use_is_never_evicted() {
    let (dir, origin) = (tempfile::tempdir().unwrap(), Origin::new(true, None));
    let cache = Cache::open(dir.path(), 2 * SIZE as u64, origin.fetcher()).unwrap();
    let (first, second) = (file(&cache, 1).await, file(&cache, 2).await);
    let error = cache.fetch(&nobody(), digest(3), SIZE as u64).await.unwrap_err();
    assert!(matches!(error, FetchError::NoRoom { .. }), "{error}");
    drop(second);
    file(&cache, 3).await;
    assert!(first.path().exists());
}

#[tokio::test]
async fn files_of_an_earlier_life_are_verified_before_use() {
    let (dir, origin) = (tempfile::tempdir().unwrap(), Origin::new(true, None));
    let cache = Cache::open(dir.path(), 1 << 30, origin.fetcher()).unwrap();
    let spoilt = file(&cache, 2).await.path().to_path_buf();
    file(&cache, 1).await;
    drop(cache);
    std::fs::remove_file(&spoilt).unwrap();
    std::fs::write(&spoilt, blob(9)).unwrap();
    std::fs::write(dir.path().join("7.part"), "unfinished").unwrap();
    let cache = Cache::open(dir.path(), 1 << 30, origin.fetcher()).unwrap();
    assert_eq!(cache.bytes(), 2 * SIZE as u64);
    file(&cache, 1).await;
    assert_eq!(origin.fetches(), 2, "still good");
    assert_eq!(std::fs::read(file(&cache, 2).await.path()).unwrap(), blob(2));
    assert_eq!(origin.fetches(), 3, "fetched again");
}

#[tokio::test]
async fn a_failed_transfer_is_tried_again_by_the_next_caller() {
    let (dir, origin) = (tempfile::tempdir().unwrap(), Origin::new(true, None));
    let cache = Cache::open(dir.path(), 1 << 30, origin.fetcher()).unwrap();
    let unknown = blake3::hash(b"unknown");
    for tries in 1..=2 {
        assert!(matches!(cache.fetch(&nobody(), unknown, SIZE as u64).await, Err(FetchError::Missing { .. })));
        assert_eq!(origin.fetches(), tries);
    }
    assert_eq!(cache.bytes(), 0);
}

#[tokio::test]
async fn what_one_namespace_has_is_fetched_anew_for_another_and_kept_apart() {
    let (dir, origin) = (tempfile::tempdir().unwrap(), Origin::new(true, None));
    let cache = Cache::open(dir.path(), 1 << 30, origin.fetcher()).unwrap();
    let vision: Arc<str> = "vision".into();
    let fetch =
        async |cache: &Cache, namespace: &Arc<str>| match cache.fetch(namespace, digest(1), SIZE as u64).await.unwrap()
        {
            Blob::File(file) => file.path().to_owned(),
            Blob::Bytes(_) => panic!("in memory"),
        };
    let (own, others) = (fetch(&cache, &nobody()).await, fetch(&cache, &vision).await);
    assert_eq!((origin.fetches(), cache.bytes()), (2, 2 * SIZE as u64));
    let hex = digest(1).to_hex();
    assert_eq!((own, others), (dir.path().join(hex.as_str()), dir.path().join("vision").join(hex.as_str())));
    drop(cache);
    std::fs::write(dir.path().join("vision/7.part"), "unfinished").unwrap();
    let cache = Cache::open(dir.path(), 1 << 30, origin.fetcher()).unwrap();
    assert_eq!(cache.bytes(), 2 * SIZE as u64);
    fetch(&cache, &vision).await;
    fetch(&cache, &nobody()).await;
    assert_eq!(origin.fetches(), 2, "both were kept over the restart");
    fetch(&cache, &"audio".into()).await;
    assert_eq!(origin.fetches(), 3);
    assert_eq!(std::fs::read_dir(dir.path().join("vision")).unwrap().count(), 1);
}
