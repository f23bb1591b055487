//! Damage is reported and stays where it is: never wrong bytes, never another blob's loss.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    os::unix::fs::{FileExt, PermissionsExt},
    path::{Path, PathBuf},
};

use longshore_blobs::{BlobStore, GetError, Hash, LocalBlobs};

const HEADER_BYTES: usize = 44;

/// Opens a directory of which nothing is known.
fn open(dir: impl AsRef<Path>) -> LocalBlobs {
    LocalBlobs::open(dir, &[], false).unwrap().blobs
}

fn put(blobs: &LocalBlobs, content: &[u8]) -> Hash {
    let digest = blake3::hash(content);
    blobs.append_small(&digest, content).unwrap();
    digest
}

fn pack(dir: &Path) -> PathBuf {
    dir.join("packs/0000000001.pack")
}

fn flip(path: &Path, at: u64) {
    // What is kept is read-only, for all but root.
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    let file = fs::File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 4], at).unwrap();
}

#[test]
fn a_tail_torn_anywhere_loses_only_the_last_blob() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path());
    let kept = [b"first".as_slice(), b"second"];
    let kept = kept.map(|content| (put(&blobs, content), content));
    let end = fs::metadata(pack(dir.path())).unwrap().len();
    let last = put(&blobs, b"the last blob");
    drop(blobs);
    let whole = fs::read(pack(dir.path())).unwrap();
    for cut in end as usize..whole.len() {
        // As after a crash that wrote less, and as after one that made the file long enough but wrote zeros.
        for fill in [cut, whole.len(), whole.len() + 5000] {
            let mut torn = whole[..cut].to_vec();
            torn.resize(fill.max(cut), 0);
            fs::write(pack(dir.path()), torn).unwrap();
            let blobs = open(dir.path());
            for (digest, content) in kept {
                assert_eq!(blobs.get(&digest).unwrap(), content);
            }
            assert!(!blobs.contains(&last), "cut at {cut}, filled to {fill}");
            assert!(matches!(blobs.get(&last), Err(GetError::NotFound { .. } | GetError::Damaged { .. })));
            assert!(blobs.append_small(&last, b"the last blob").unwrap());
            drop(blobs);
            let blobs = open(dir.path());
            assert_eq!(blobs.get(&last).unwrap(), b"the last blob".as_slice());
            for (digest, content) in kept {
                assert_eq!(blobs.get(&digest).unwrap(), content);
            }
        }
    }
}

#[test]
fn a_flipped_bit_damages_one_blob_and_putting_it_again_heals_it() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path());
    let contents = [b"before".as_slice(), b"in the middle", b"after", b"and the end"];
    let digests = contents.map(|content| put(&blobs, content));
    drop(blobs);
    let whole = fs::read(pack(dir.path())).unwrap();
    let start = HEADER_BYTES + contents[0].len();
    for at in start..start + HEADER_BYTES + contents[1].len() {
        fs::write(pack(dir.path()), &whole).unwrap();
        flip(&pack(dir.path()), at as u64);
        let blobs = open(dir.path());
        for which in [0, 2, 3] {
            assert_eq!(blobs.get(&digests[which]).unwrap(), contents[which], "flip at {at}");
        }
        let hurt = blobs.get(&digests[1]);
        if at < start + HEADER_BYTES {
            // Its name itself may be damaged: then it is as if it had never been.
            assert!(
                matches!(hurt, Err(GetError::NotFound { .. } | GetError::Damaged { .. })),
                "flip at {at}: {hurt:?}"
            );
        } else {
            assert!(matches!(hurt, Err(GetError::Damaged { .. })), "flip at {at}: {hurt:?}");
        }
        assert!(!blobs.contains(&digests[1]));
        assert!(blobs.append_small(&digests[1], contents[1]).unwrap());
        assert_eq!(blobs.get(&digests[1]).unwrap(), contents[1]);
        drop(blobs);
        let blobs = open(dir.path());
        assert!(blobs.contains(&digests[1]));
        assert_eq!(blobs.get(&digests[1]).unwrap(), contents[1]);
    }
}

#[test]
fn damage_that_comes_later_is_found_on_reading() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path());
    let (small, large) = (b"small".as_slice(), vec![5; 200_000]);
    let small_digest = put(&blobs, small);
    let mut writer = blobs.create().unwrap();
    writer.write(&large).unwrap();
    let (large_digest, _) = writer.finish(None).unwrap();
    let hex = large_digest.to_hex();
    let file = dir.path().join("files").join(&hex[..2]).join(hex.as_str());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o444);
    flip(&pack(dir.path()), HEADER_BYTES as u64 + 2);
    flip(&file, 150_000);
    assert!(blobs.contains(&small_digest) && blobs.contains(&large_digest));
    let last = blobs.read_chunks(&large_digest, 65_536).unwrap().last().unwrap();
    assert!(matches!(last, Err(GetError::Damaged { .. })));
    for digest in [small_digest, large_digest] {
        assert!(matches!(blobs.get(&digest), Err(GetError::Damaged { .. })));
        assert!(!blobs.contains(&digest));
    }
    assert!(blobs.append_small(&small_digest, small).unwrap());
    let mut writer = blobs.create().unwrap();
    writer.write(&large).unwrap();
    assert_eq!(writer.finish(Some(large_digest)).unwrap(), (large_digest, true));
    assert_eq!(blobs.get(&small_digest).unwrap(), small);
    assert_eq!(blobs.get(&large_digest).unwrap(), large);
    assert!(blobs.contains(&small_digest) && blobs.contains(&large_digest));
}

#[test]
fn a_shortened_or_missing_pack_damages_its_blobs() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path());
    let digest = put(&blobs, b"content");
    fs::File::options().write(true).open(pack(dir.path())).unwrap().set_len(46).unwrap();
    assert!(matches!(blobs.get(&digest), Err(GetError::Damaged { .. })));
}

#[test]
fn a_blob_that_looks_like_a_record_deceives_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path());
    let inner = b"never put by itself";
    put(&blobs, inner);
    drop(blobs);
    // A blob made of whole records, and of a header that claims what follows it in the pack.
    let record = fs::read(pack(dir.path())).unwrap();
    fs::remove_file(pack(dir.path())).unwrap();
    let mut hostile = record.clone();
    hostile.extend_from_slice(&record[..HEADER_BYTES]);
    let blobs = open(dir.path());
    let hostile_digest = put(&blobs, &hostile);
    let after = put(&blobs, b"somebody else's blob");
    drop(blobs);
    for at in [0, 5, 12, 41] {
        flip(&pack(dir.path()), at);
        let blobs = open(dir.path());
        assert_eq!(blobs.get(&after).unwrap(), b"somebody else's blob".as_slice());
        assert!(blobs.get(&hostile_digest).is_err());
        if let Ok(found) = blobs.get(&blake3::hash(inner)) {
            assert_eq!(found, inner.as_slice());
        }
        drop(blobs);
        flip(&pack(dir.path()), at);
    }
}
