//! Damaged files give a clear error and never a store that silently lost something.
#![allow(clippy::unwrap_used)]

mod workload;

use std::{
    env, fs,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    time::Duration,
};

use longshore_store::{Epoch, OpenError, Options, Probe, SledStore, Store, probe_main_if_asked};
use proptest::{prelude::*, test_runner::TestRunner};
use workload::{batch, check, options, run};

const COMMITS: u64 = 130;

#[test]
fn probe_process() {
    probe_main_if_asked();
}

/// The probe keeps sled's panics out of this process, where they would break its threads for every later opening.
fn probing() -> Options {
    let program = env::current_exe().unwrap();
    let arguments = ["probe_process", "--exact", "--nocapture"].map(Into::into).to_vec();
    Options { probe: Probe::Program { program, arguments }, probe_timeout: Duration::from_secs(30), ..options() }
}

fn filled(dir: &Path) -> PathBuf {
    let path = dir.join("store");
    let (mut store, _) = SledStore::open(&path, &options()).unwrap();
    (1..=COMMITS).for_each(|n| store.commit(Epoch::default(), &batch(n)).unwrap());
    drop(store);
    // Once more, so that there is a snapshot of it all.
    drop(SledStore::open(&path, &options()).unwrap());
    path
}

fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    run(std::process::Command::new("cp").arg("-a").args([from, to])).unwrap();
}

/// All files that hold something.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = |dir: &Path| fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    let all = entries(dir).into_iter().chain(entries(&dir.join("db")));
    let mut files: Vec<_> = all.filter(|path| path.is_file() && path.metadata().unwrap().len() > 0).collect();
    files.retain(|path| !path.ends_with("lock"));
    files.sort();
    files
}

#[derive(Debug, Clone, Copy)]
enum Harm {
    Flip(u8),
    Zero,
    Truncate,
}

fn a_harm() -> impl Strategy<Value = Harm> {
    prop_oneof![(0..8u8).prop_map(Harm::Flip), Just(Harm::Zero), Just(Harm::Truncate)]
}

fn inflict(harm: Harm, path: &Path, at: f64) {
    let file = fs::File::options().read(true).write(true).open(path).unwrap();
    let at = (file.metadata().unwrap().len() as f64 * at) as u64;
    match harm {
        Harm::Flip(bit) => {
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).unwrap();
            file.write_all_at(&[byte[0] ^ (1 << bit)], at).unwrap();
        }
        Harm::Zero => {
            let len = file.metadata().unwrap().len();
            let from = at & !4095;
            file.write_all_at(&vec![0; (len - from).min(4096) as usize], from).unwrap();
        }
        Harm::Truncate => file.set_len(at).unwrap(),
    }
}

#[test]
fn damage_is_an_error_or_harmless_and_never_silent() {
    let dir = tempfile::tempdir().unwrap();
    let whole = filled(dir.path());
    let hurt = dir.path().join("hurt");
    let cases: u32 = env::var("LONGSHORE_DAMAGES").map_or(48, |count| count.parse().unwrap());
    let config = ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 0, ..ProptestConfig::default() };
    let outcomes = std::cell::RefCell::new(std::collections::BTreeMap::<String, u32>::new());
    let mut runner = TestRunner::new(config);
    let tried = runner.run(&(any::<prop::sample::Index>(), a_harm(), 0.0..1.0f64), |(file, harm, at)| {
        copy(&whole, &hurt);
        let files = files(&hurt);
        // Mostly the log, which is nearly all of it.
        let path = if file.index(2) == 0 { hurt.join("db/db") } else { file.get(&files).clone() };
        inflict(harm, &path, at);
        let outcome = match SledStore::open(&hurt, &probing()) {
            Ok((store, _)) => {
                prop_assert_eq!(check(&store, COMMITS), Ok(COMMITS), "{:?} at {} of {}", harm, at, path.display());
                "harmless"
            }
            Err(OpenError::Corrupt { .. }) => "corrupt",
            Err(OpenError::RolledBack { .. }) => "rolled back",
            Err(OpenError::NoHighWater { .. }) => "no high-water mark",
            Err(error) => {
                return Err(TestCaseError::fail(format!("{harm:?} of {}: {error:?}", path.display())));
            }
        };
        *outcomes.borrow_mut().entry(outcome.to_owned()).or_default() += 1;
        Ok(())
    });
    eprintln!("{:?}", outcomes.into_inner());
    tried.unwrap();
}

/// What sled's own checks cannot see: its files are sound, but not what was committed.
#[test]
fn entries_changed_behind_its_back_are_detected() {
    let dir = tempfile::tempdir().unwrap();
    let path = filled(dir.path());
    let tamper = |change: &dyn Fn(&sled::Db)| {
        let hurt = dir.path().join("hurt");
        copy(&path, &hurt);
        let db = sled::open(hurt.join("db")).unwrap();
        change(&db);
        drop(db);
        SledStore::open(&hurt, &options()).map(drop)
    };
    let key = b"over/0007";
    tamper(&|_| {}).unwrap();
    let removed = tamper(&|db| drop(db.remove(key).unwrap().unwrap()));
    assert!(matches!(&removed, Err(OpenError::Corrupt { detail, .. }) if detail.contains("entries")), "{removed:?}");
    let moved = tamper(&|db| drop(db.insert(key, db.get("over/0014").unwrap().unwrap()).unwrap()));
    assert!(matches!(&moved, Err(OpenError::Corrupt { detail, .. }) if detail.contains("over/0007")), "{moved:?}");
    let forgotten = tamper(&|db| drop(db.remove(b"\xfflast").unwrap().unwrap()));
    assert!(matches!(forgotten, Err(OpenError::Corrupt { .. })), "{forgotten:?}");
}

#[test]
fn a_deleted_snapshot_is_never_silent_loss() {
    let dir = tempfile::tempdir().unwrap();
    let path = filled(dir.path());
    for file in files(&path) {
        if file.to_string_lossy().contains("snap.") {
            fs::remove_file(file).unwrap();
        }
    }
    match SledStore::open(&path, &probing()) {
        Ok((store, _)) => assert_eq!(check(&store, COMMITS), Ok(COMMITS)),
        Err(error) => assert!(matches!(error, OpenError::Corrupt { .. } | OpenError::RolledBack { .. }), "{error:?}"),
    }
}

#[test]
fn a_half_written_snapshot_is_removed_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = filled(dir.path());
    let torn = path.join("db/snap.FFFFFFFFFFFFFFF0.generating");
    fs::write(&torn, b"half a snapshot").unwrap();
    let before: Vec<_> = files(&path).into_iter().filter(|file| *file != torn).collect();
    let (store, _) = SledStore::open(&path, &options()).unwrap();
    assert_eq!(check(&store, COMMITS), Ok(COMMITS));
    assert!(!torn.exists());
    drop(store);
    assert!(before.iter().any(|file| file.to_string_lossy().contains("snap.")));
}

#[test]
fn a_second_opener_is_told_who_holds_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let (store, opened) = SledStore::open(&path, &options()).unwrap();
    assert!(opened.created);
    let reader = store.reader();
    let refused = |path: &Path| SledStore::open(path, &options()).map(drop).unwrap_err();
    assert!(matches!(refused(&path), OpenError::InUse { pid: Some(pid), .. } if pid == std::process::id()));
    drop(store);
    assert!(matches!(refused(&path), OpenError::InUse { .. }), "a reader keeps it open");
    drop(reader);
    let text = SledStore::open(&path, &options())
        .map(|(store, _)| refused(&path).to_string() + &store.commit_seq().to_string());
    let text = text.unwrap();
    assert!(text.contains(&path.display().to_string()) && text.contains(&std::process::id().to_string()), "{text}");
}

#[test]
fn an_older_database_put_back_is_detected_and_can_be_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let path = filled(dir.path());
    copy(&path.join("db"), &dir.path().join("old"));
    let (mut store, _) = SledStore::open(&path, &options()).unwrap();
    (COMMITS + 1..=COMMITS + 5).for_each(|n| store.commit(Epoch::default(), &batch(n)).unwrap());
    drop(store);
    copy(&dir.path().join("old"), &path.join("db"));
    let refused = SledStore::open(&path, &options()).map(drop).unwrap_err();
    assert!(matches!(refused, OpenError::RolledBack { seq: COMMITS, high_water, .. } if high_water == COMMITS + 5));
    let accepting = Options { accept_data_loss: true, ..options() };
    let (store, opened) = SledStore::open(&path, &accepting).unwrap();
    assert_eq!((opened.commit_seq, opened.lost_up_to), (COMMITS, Some(COMMITS + 5)));
    drop(store);
    let (_, opened) = SledStore::open(&path, &options()).unwrap();
    assert_eq!((opened.commit_seq, opened.lost_up_to), (COMMITS, None));
}

#[test]
fn a_whole_directory_rolled_back_is_detected_by_a_mark_kept_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let (path, old) = (dir.path().join("store"), dir.path().join("old"));
    let options = Options { high_water: Some(dir.path().join("mark")), ..options() };
    let (mut store, _) = SledStore::open(&path, &options).unwrap();
    store.commit(Epoch::default(), &batch(1)).unwrap();
    drop(store);
    copy(&path, &old);
    let (mut store, _) = SledStore::open(&path, &options).unwrap();
    store.commit(Epoch::default(), &batch(2)).unwrap();
    drop(store);
    copy(&old, &path);
    let refused = SledStore::open(&path, &options).map(drop).unwrap_err();
    assert!(matches!(refused, OpenError::RolledBack { seq: 1, high_water: 2, .. }), "{refused:?}");
}

#[test]
fn the_database_of_another_store_is_detected() {
    let dir = tempfile::tempdir().unwrap();
    let (one, other) = (dir.path().join("one"), dir.path().join("other"));
    for (path, n) in [(&one, 1), (&other, 2)] {
        let (mut store, _) = SledStore::open(path, &options()).unwrap();
        store.commit(Epoch::default(), &batch(n)).unwrap();
    }
    copy(&one.join("db"), &other.join("db"));
    let refused = SledStore::open(&other, &options()).map(drop).unwrap_err();
    assert!(matches!(refused, OpenError::Diverged { seq: 1, .. }), "{refused:?}");
}

#[test]
fn a_lost_database_and_a_lost_mark_are_detected() {
    let dir = tempfile::tempdir().unwrap();
    let path = filled(dir.path());
    fs::rename(path.join("high-water"), dir.path().join("mark")).unwrap();
    let refused = SledStore::open(&path, &options()).map(drop).unwrap_err();
    assert!(matches!(refused, OpenError::NoHighWater { .. }), "{refused:?}");
    fs::rename(dir.path().join("mark"), path.join("high-water")).unwrap();
    fs::remove_dir_all(path.join("db")).unwrap();
    let refused = SledStore::open(&path, &options()).map(drop).unwrap_err();
    assert!(matches!(refused, OpenError::RolledBack { seq: 0, high_water: COMMITS, .. }), "{refused:?}");
}

#[test]
fn a_log_that_lost_its_name_stops_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let (mut store, _) = SledStore::open(&path, &options()).unwrap();
    fs::rename(path.join("db/db"), path.join("db/gone")).unwrap();
    let refused = store.commit(Epoch::default(), &batch(1)).unwrap_err();
    assert!(refused.is_fatal(), "{refused}");
    assert!(store.commit(Epoch::default(), &batch(1)).unwrap_err().is_fatal());
}

/// All files with their bytes.
fn bytes(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all: Vec<_> = files(dir).into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    all.push((dir.join("lock"), fs::read(dir.join("lock")).unwrap()));
    all
}

#[test]
fn a_copy_is_opened_without_changing_the_store_and_its_errors_name_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let path = filled(dir.path());
    let before = bytes(&path);
    let closed = SledStore::keep_closed(&path).unwrap();
    assert!(matches!(SledStore::open(&path, &options()), Err(OpenError::InUse { .. })), "it is kept closed");
    let _second = SledStore::keep_closed(&path).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let store = SledStore::open_copy(&path, scratch.path(), &probing()).unwrap();
    assert_eq!(check(&store, COMMITS), Ok(COMMITS));
    assert!(bytes(&path) == before, "something was changed");
    drop((store, closed, _second));
    inflict(Harm::Truncate, &path.join("db/db"), 0.5);
    fs::rename(path.join("high-water"), dir.path().join("mark")).unwrap();
    let hurt = bytes(&path);
    let scratch = tempfile::tempdir().unwrap();
    let error = SledStore::open_copy(&path, scratch.path(), &probing()).unwrap_err();
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    assert!(bytes(&path) == hurt, "something was changed");
}

#[test]
fn an_open_store_cannot_be_kept_closed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    assert!(SledStore::keep_closed(&path).is_ok(), "there is none");
    let _store = SledStore::open(&path, &options()).unwrap();
    let refused = SledStore::keep_closed(&path).unwrap_err();
    assert!(matches!(refused, OpenError::InUse { pid: Some(pid), .. } if pid == std::process::id()), "{refused:?}");
}
