//! Many threads, leftovers, other openers, roll-over, adopted files, full disks.
#![allow(clippy::unwrap_used)]

mod workload;

use std::{
    fs,
    io::Write,
    os::unix::fs::symlink,
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use longshore_blobs::{BlobStore, Handover, Hash, LocalBlobs, MAX_PACK_BYTES, MAX_SMALL_BYTES, OpenError, PutError};
use workload::{Mount, open};

#[test]
fn one_blob_put_by_many_threads_is_new_once() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Arc::new(open(dir.path()));
    let barrier = Barrier::new(8);
    for size in [100, MAX_SMALL_BYTES + 100] {
        let content = vec![3; size];
        let digest = blake3::hash(&content);
        let firsts = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    barrier.wait();
                    let mut writer = blobs.create().unwrap();
                    writer.write(&content).unwrap();
                    let (found, new) = writer.finish(Some(digest)).unwrap();
                    assert_eq!(found, digest);
                    firsts.fetch_add(usize::from(new), Ordering::Relaxed);
                    assert_eq!(blobs.get(&digest).unwrap(), content);
                });
            }
        });
        assert!(blobs.contains(&digest));
        assert_eq!(firsts.into_inner(), 1);
    }
    assert_eq!(fs::metadata(dir.path().join("packs/0000000001.pack")).unwrap().len(), 44 + 100);
}

#[test]
fn many_threads_put_sync_and_read() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Arc::new(open(dir.path()));
    thread::scope(|scope| {
        for part in 0..6u64 {
            let blobs = &blobs;
            scope.spawn(move || {
                for n in (1..120).filter(|n| n % 3 == part % 3) {
                    let content = workload::content(n);
                    let mut writer = blobs.create().unwrap();
                    writer.write(&content).unwrap();
                    writer.finish(None).unwrap();
                    blobs.sync().unwrap();
                    assert_eq!(blobs.get(&workload::digest(n)).unwrap(), content);
                }
            });
        }
    });
    drop(blobs);
    workload::check(&open(dir.path()), 119).unwrap();
}

#[test]
fn leftovers_of_unfinished_writers_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path());
    let temp = dir.path().join("temp");
    let mut writer = blobs.create().unwrap();
    writer.write(&[1; MAX_SMALL_BYTES + 1]).unwrap();
    assert_eq!(fs::read_dir(&temp).unwrap().count(), 1);
    drop(writer);
    assert_eq!(fs::read_dir(&temp).unwrap().count(), 0);
    drop(blobs);
    fs::write(temp.join("7"), b"left by a crash").unwrap();
    drop(open(dir.path()));
    assert_eq!(fs::read_dir(&temp).unwrap().count(), 0);
}

#[test]
fn a_second_opener_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path());
    assert!(matches!(LocalBlobs::open(dir.path(), &[], false), Err(OpenError::InUse { .. })));
    drop(blobs);
    open(dir.path());
}

#[test]
fn a_full_pack_is_followed_by_another() {
    let dir = tempfile::tempdir().unwrap();
    let content = |n: u64| -> Vec<u8> {
        let mut content = vec![0; MAX_SMALL_BYTES];
        content[..8].copy_from_slice(&n.to_be_bytes());
        content
    };
    let count = MAX_PACK_BYTES / MAX_SMALL_BYTES as u64 + 20;
    let blobs = open(dir.path());
    let digests: Vec<Hash> = (0..count).map(|n| blake3::hash(&content(n))).collect();
    for n in 0..count {
        assert!(blobs.append_small(&digests[n as usize], &content(n)).unwrap());
    }
    blobs.sync().unwrap();
    drop(blobs);
    let list = dir.path().join("packs/0000000001.list");
    // The first time from the pack itself, the second from its listing, the third from the pack again.
    for round in 0..3 {
        let blobs = open(dir.path());
        assert!(digests.iter().all(|digest| blobs.size(digest) == Some(MAX_SMALL_BYTES as u64)));
        assert!(dir.path().join("packs/0000000002.pack").exists());
        for n in (0..count).step_by(97).chain(count - 30..count) {
            assert_eq!(blobs.get(&digests[n as usize]).unwrap(), content(n));
        }
        if round == 1 {
            fs::write(&list, b"not a listing").unwrap();
        }
        assert!(list.exists());
    }
}

#[test]
fn of_many_appended_at_once_each_is_kept_once() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path());
    // Several writes' worth, every content three times: near, far, and held before.
    let contents: Vec<Vec<u8>> = (0..120_u8).map(|n| vec![n; 40_000]).collect();
    let digests: Vec<Hash> = contents.iter().map(|content| blake3::hash(content)).collect();
    assert!(blobs.append_small(&digests[7], &contents[7]).unwrap());
    let all = || digests.iter().zip(contents.iter().map(Vec::as_slice));
    let twice: Vec<(&Hash, &[u8])> = all().flat_map(|blob| [blob, blob]).chain(all()).collect();
    let new = blobs.append_all_small(&twice).unwrap();
    assert_eq!((new.blobs, new.bytes), (119, 119 * 40_000));
    blobs.sync().unwrap();
    drop(blobs);
    let blobs = open(dir.path());
    let records: usize = contents.iter().map(|content| 44 + content.len()).sum();
    assert_eq!(fs::metadata(dir.path().join("packs/0000000001.pack")).unwrap().len(), records as u64);
    for (digest, content) in all() {
        assert_eq!(blobs.get(digest).unwrap(), content);
    }
}

#[test]
fn one_wrong_digest_among_many_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path());
    let (right, wrong) = (blake3::hash(b"right"), blake3::hash(b"left"));
    let error = blobs.append_all_small(&[(&right, b"right"), (&wrong, b"wrong")]).unwrap_err();
    assert!(matches!(error, PutError::Mismatch { expected, .. } if expected == wrong));
}

#[test]
fn only_plain_files_are_adopted() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path().join("blobs"));
    let path = |name: &str| dir.path().join(name);
    fs::write(path("target"), vec![1; 100_000]).unwrap();
    symlink(path("target"), path("link")).unwrap();
    fs::hard_link(path("target"), path("second name")).unwrap();
    fs::create_dir(path("directory")).unwrap();
    fs::write(path("other"), [2; 100]).unwrap();
    let open = |name: &str| fs::File::open(path(name)).unwrap();
    for (name, file) in [
        ("link", open("target")),
        ("second name", open("target")),
        ("directory", open("directory")),
        ("missing", open("target")),
        ("target", open("other")),
    ] {
        assert!(blobs.adopt_link(&path(name), &file).is_err(), "{name}");
        assert_eq!(fs::symlink_metadata(path(name)).is_ok(), name != "missing", "{name} stays");
    }
    assert!(!blobs.contains(&blake3::hash(&[1; 100_000])));
    assert_eq!(fs::read_dir(dir.path().join("blobs/temp")).unwrap().count(), 0);
}

#[test]
fn a_full_disk_refuses_blobs_and_loses_none() {
    let dir = tempfile::tempdir().unwrap();
    let disk = match Mount::new(&["-t", "tmpfs", "-o", "size=4m", "tmpfs"], dir.path()) {
        Ok(disk) => disk,
        Err(why) => return eprintln!("NOT TRIED: no small disk can be mounted here: {why}"),
    };
    let path = disk.0.join("blobs");
    let blobs = open(&path);
    let mut held = Vec::new();
    let fill = |blobs: &LocalBlobs, held: &mut Vec<u64>, from: u64| {
        for n in from.. {
            let put = blobs.append_small(&blake3::hash(&[n as u8; 50_000]), &[n as u8; 50_000]);
            match put {
                Ok(_) => held.push(n),
                Err(error) => return error,
            }
        }
        unreachable!()
    };
    assert!(matches!(fill(&blobs, &mut held, 1), PutError::Full { .. }));
    let mut writer = blobs.create().unwrap();
    let written = (0..100).try_for_each(|_| writer.write(&[0; 60_000]));
    assert!(matches!(written, Err(PutError::Full { .. })));
    drop(writer);
    assert_eq!(fs::read_dir(path.join("temp")).unwrap().count(), 0);
    drop(blobs);
    let filler = disk.0.join("filler");
    assert!(fs::File::create(&filler).unwrap().write_all(&[0; 4 << 20]).is_err());
    let blobs = open(&path);
    fs::remove_file(&filler).unwrap();
    assert!(blobs.append_small(&blake3::hash(b"there is room again"), b"there is room again").unwrap());
    for n in held {
        assert_eq!(blobs.get(&blake3::hash(&[n as u8; 50_000])).unwrap(), vec![n as u8; 50_000]);
    }
}
