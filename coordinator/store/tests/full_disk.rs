//! A full disk refuses work with a clear error and loses nothing.
#![allow(clippy::unwrap_used)]

mod workload;

use std::{env, fs, io::Write, path::Path, process::Command};

use longshore_store::{CommitError, Epoch, OpenError, Options, SledStore, Store};
use workload::{Mount, Orders, Writer, batch, check, options, write_if_asked};

#[test]
fn writer_process() {
    write_if_asked();
}

/// A small disk, or `None` (and a word on stderr) where none can be mounted.
fn small_disk(at: &Path) -> Option<Mount> {
    let mount = Mount::new(&["-t", "tmpfs", "-o", "size=12m", "tmpfs"], at);
    mount.inspect_err(|why| eprintln!("NOT TRIED: no small disk can be mounted here: {why}")).ok()
}

fn fill(path: &Path) {
    let mut file = fs::File::create(path).unwrap();
    while file.write_all(&[1; 4096]).is_ok() {}
}

#[test]
fn a_nearly_full_disk_refuses_commits_until_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = small_disk(dir.path()) else {
        return;
    };
    let options = Options { commit_reserve_bytes: 2 << 20, ..options() };
    let (mut store, _) = SledStore::open(&disk.0.join("store"), &options).unwrap();
    store.commit(Epoch::default(), &batch(1)).unwrap();
    fill(&disk.0.join("filler"));
    for _ in 0..2 {
        let refused = store.commit(Epoch::default(), &batch(2)).unwrap_err();
        assert!(matches!(refused, CommitError::LowSpace { .. }) && !refused.is_fatal(), "{refused:?}");
    }
    assert_eq!(check(&store, 1), Ok(1));
    fs::remove_file(disk.0.join("filler")).unwrap();
    store.commit(Epoch::default(), &batch(2)).unwrap();
    assert_eq!(check(&store, 2), Ok(2));
}

#[test]
fn a_disk_that_runs_full_gives_up_the_ballast_and_opens_again() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = small_disk(dir.path()) else {
        return;
    };
    let path = disk.0.join("store");
    let options = Options { commit_reserve_bytes: 0, open_reserve_bytes: 1 << 20, ballast_bytes: 3 << 20, ..options() };
    let (mut store, _) = SledStore::open(&path, &options).unwrap();
    assert!(path.join("ballast").exists());
    fill(&disk.0.join("filler"));
    let mut acked = 0;
    let error = loop {
        match store.commit(Epoch::default(), &batch(acked + 1)) {
            Ok(()) => acked += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, CommitError::Full { ballast_released: true, .. }), "{error:?}");
    assert!(matches!(store.commit(Epoch::default(), &batch(acked + 1)), Err(CommitError::Broken { .. })));
    drop(store);
    let (store, _) = SledStore::open(&path, &options).unwrap();
    check(&store, acked).unwrap();
    drop(store);
    fill(&disk.0.join("filler2"));
    let refused = SledStore::open(&path, &options).map(drop).unwrap_err();
    assert!(matches!(refused, OpenError::NoSpace { .. }), "{refused:?}");
}

/// Works without root: the size of files is limited, and the signal that would say so is ignored.
#[test]
fn a_log_that_may_not_grow_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let mut shell = Command::new("sh");
    let exe = env::current_exe().unwrap();
    shell.args(["-c", r#"trap "" XFSZ; ulimit -f 4096; exec "$0" "$@""#]).arg(exe);
    let mut writer = Writer::start_as(shell, "writer_process", &path, Orders::default());
    writer.wait();
    assert!(writer.acked() > 0);
    assert!(writer.failure().is_some_and(|failure| failure.contains("is full")), "{:?}", writer.failure());
    let (store, _) = SledStore::open(&path, &options()).unwrap();
    check(&store, writer.acked()).unwrap();
}
