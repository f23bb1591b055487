//! What every store of blobs must do, as one suite to run in its tests.
//!
//! `fresh` makes a new empty place for blobs and `open` opens the store on it; the suite drops a store and opens its place
//! again as it likes.

use std::sync::Arc;

use blake3::Hash;

use crate::{BlobStore, GetError, MAX_SMALL_BYTES, PutError};

type Open<'a> = &'a mut dyn FnMut() -> Arc<dyn BlobStore>;

/// Sizes around every limit.
const SIZES: [usize; 7] = [0, 1, 44, 1000, MAX_SMALL_BYTES, MAX_SMALL_BYTES + 1, 300_000];

const CASES: &[fn(Open<'_>)] = &[
    what_was_put_is_given_whole_and_in_chunks,
    what_is_held_is_not_new_again,
    what_is_not_held_is_not_given,
    bytes_of_another_digest_are_refused,
    what_is_too_large_for_a_small_blob_is_refused,
    of_many_at_once_each_is_kept_once,
    an_abandoned_writer_leaves_nothing,
    what_is_handed_over_is_the_blob,
];

/// Runs all cases, each in a place of its own.
///
/// # Panics
/// When the store does not conform; the message names what was expected.
pub fn run<P>(mut fresh: impl FnMut() -> P, mut open: impl FnMut(&P) -> Arc<dyn BlobStore>) {
    for case in CASES {
        let place = fresh();
        case(&mut || open(&place));
    }
}

fn ok<T, E: std::fmt::Display>(result: Result<T, E>, what: &str) -> T {
    result.unwrap_or_else(|error| panic!("{what} failed: {error}"))
}

fn content(size: usize) -> (Hash, Vec<u8>) {
    let content: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
    (blake3::hash(&content), content)
}

/// Puts the bytes piece by piece; whether they were new.
fn write(blobs: &dyn BlobStore, content: &[u8]) -> bool {
    let mut writer = ok(blobs.create(), "create");
    content.chunks(70_000).for_each(|piece| ok(writer.write(piece), "write"));
    assert_eq!(writer.size_bytes(), content.len() as u64);
    let (digest, new) = ok(writer.finish(None), "finish");
    assert_eq!(digest, blake3::hash(content));
    new
}

fn what_was_put_is_given_whole_and_in_chunks(open: Open<'_>) {
    let blobs = open();
    for size in SIZES {
        let (digest, content) = content(size);
        match size % 2 == 0 && size <= MAX_SMALL_BYTES {
            true => assert!(ok(blobs.append_small(&digest, &content), "append")),
            false => assert!(write(&*blobs, &content)),
        }
    }
    ok(blobs.sync(), "sync");
    let mut blobs = Some(blobs);
    for _ in ["at once", "after opening again"] {
        let held = blobs.take().unwrap_or_else(|| open());
        for size in SIZES {
            let (digest, content) = content(size);
            assert!(held.contains(&digest));
            assert_eq!(held.size(&digest), Some(size as u64));
            assert_eq!(ok(held.get(&digest), "get"), content);
            let chunks: Vec<_> = ok(held.read_chunks(&digest, 999), "read").map(|chunk| ok(chunk, "chunk")).collect();
            assert!(chunks.iter().rev().skip(1).all(|full| full.len() == 999));
            assert_eq!(chunks.concat(), content);
        }
    }
}

fn what_is_held_is_not_new_again(open: Open<'_>) {
    let blobs = open();
    for size in SIZES {
        let (digest, content) = content(size);
        assert!(write(&*blobs, &content));
        assert!(!write(&*blobs, &content));
        if size <= MAX_SMALL_BYTES {
            assert!(!ok(blobs.append_small(&digest, &content), "append"));
        }
    }
}

fn what_is_not_held_is_not_given(open: Open<'_>) {
    let blobs = open();
    let (digest, _) = content(9);
    assert!(!blobs.contains(&digest) && blobs.size(&digest).is_none());
    assert!(matches!(blobs.get(&digest), Err(GetError::NotFound { .. })));
    assert!(matches!(blobs.read_chunks(&digest, 9).map(drop), Err(GetError::NotFound { .. })));
    ok(blobs.sync(), "a sync of nothing");
    assert_eq!(ok(blobs.checkpoint(), "a checkpoint of nothing"), []);
}

fn bytes_of_another_digest_are_refused(open: Open<'_>) {
    let blobs = open();
    for size in SIZES {
        let (told, content) = (blake3::hash(b"another"), content(size).1);
        let mut writer = ok(blobs.create(), "create");
        ok(writer.write(&content), "write");
        assert!(matches!(writer.finish(Some(told)), Err(PutError::Mismatch { .. })));
        let small = content.get(..1000).unwrap_or(&content);
        let wrong = blobs.append_all_small(&[(&told, small)]);
        assert!(matches!(wrong, Err(PutError::Mismatch { expected, .. }) if expected == told));
        assert!(!blobs.contains(&told) && !blobs.contains(&blake3::hash(&content)));
    }
}

fn what_is_too_large_for_a_small_blob_is_refused(open: Open<'_>) {
    let blobs = open();
    let (digest, content) = content(MAX_SMALL_BYTES + 1);
    assert!(matches!(blobs.append_small(&digest, &content), Err(PutError::TooLarge { .. })));
    assert!(!blobs.contains(&digest));
}

fn of_many_at_once_each_is_kept_once(open: Open<'_>) {
    let blobs = open();
    let contents: Vec<_> = (1..=50).map(content).collect();
    let (held, bytes) = &contents[7];
    assert!(ok(blobs.append_small(held, bytes), "append"));
    let twice: Vec<(&Hash, &[u8])> =
        contents.iter().chain(&contents).map(|(digest, bytes)| (digest, bytes.as_slice())).collect();
    let new = ok(blobs.append_all_small(&twice), "append");
    assert_eq!((new.blobs, new.bytes), (49, (1..=50).sum::<u64>() - 8));
    contents.iter().for_each(|(digest, content)| assert_eq!(ok(blobs.get(digest), "get"), content));
}

fn an_abandoned_writer_leaves_nothing(open: Open<'_>) {
    let blobs = open();
    for size in SIZES {
        let (digest, content) = content(size);
        let mut writer = ok(blobs.create(), "create");
        ok(writer.write(&content), "write");
        drop(writer);
        assert!(!blobs.contains(&digest));
    }
}

fn what_is_handed_over_is_the_blob(open: Open<'_>) {
    use std::io::Read;
    let blobs = open();
    let Some(handover) = blobs.handover() else {
        return;
    };
    let (small, large) = (content(1000), content(300_000));
    write(&*blobs, &small.1);
    write(&*blobs, &large.1);
    for file in [handover.open_large(&large.0), handover.open_verified(&large.0)] {
        let mut read = Vec::new();
        ok(ok(file, "open").read_to_end(&mut read), "read");
        assert_eq!(read, large.1);
    }
    assert!(matches!(handover.open_large(&small.0).map(drop), Err(GetError::NotFound { .. })));
}
