//! Trying a store in another process first.
#![allow(clippy::unwrap_used)]

mod workload;

use std::{env, fs, time::Duration};

use longshore_store::{Epoch, OpenError, Options, Probe, SledStore, Store, probe_main_if_asked};
use workload::{batch, options};

#[test]
fn probe_process() {
    probe_main_if_asked();
}

fn program(program: &str, arguments: &[&str]) -> Options {
    let probe = Probe::Program { program: program.into(), arguments: arguments.iter().map(Into::into).collect() };
    Options { probe, probe_timeout: Duration::from_secs(30), ..options() }
}

fn probing() -> Options {
    program(env::current_exe().unwrap().to_str().unwrap(), &["probe_process", "--exact", "--nocapture"])
}

#[test]
fn a_whole_store_passes_its_trial() {
    let dir = tempfile::tempdir().unwrap();
    for n in 1..4 {
        let (mut store, opened) = SledStore::open(dir.path(), &probing()).unwrap();
        assert_eq!(opened.commit_seq, n - 1);
        store.commit(Epoch::default(), &batch(n)).unwrap();
    }
}

#[test]
fn a_damaged_store_fails_its_trial_with_an_instruction() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = SledStore::open(dir.path(), &options()).unwrap();
    (1..50).for_each(|n| store.commit(Epoch::default(), &batch(n)).unwrap());
    drop(store);
    // Once more, so that a snapshot refers to what will be missing.
    drop(SledStore::open(dir.path(), &options()).unwrap());
    let log = dir.path().join("db/db");
    let len = fs::metadata(&log).unwrap().len();
    fs::File::options().write(true).open(&log).unwrap().set_len(len / 2).unwrap();
    let refused = SledStore::open(dir.path(), &probing()).map(drop).unwrap_err();
    assert!(matches!(refused, OpenError::Corrupt { .. }), "{refused:?}");
    assert!(refused.to_string().contains("restore a backup"), "{refused}");
}

#[test]
fn programs_that_do_not_know_the_probe_are_an_error() {
    let dir = tempfile::tempdir().unwrap();
    drop(SledStore::open(dir.path(), &options()).unwrap());
    let refused = |options| SledStore::open(dir.path(), &options).map(drop).unwrap_err();
    assert!(matches!(refused(program("false", &[])), OpenError::Probe { .. }));
    assert!(matches!(refused(program("/no/such/program", &[])), OpenError::Probe { .. }));
    assert!(matches!(refused(program("sh", &["-c", "kill -ABRT $$"])), OpenError::Corrupt { .. }));
    let this_binary = Options { probe: Probe::Child, ..options() };
    assert!(matches!(refused(this_binary), OpenError::Probe { .. }), "libtest refuses the probe's argument");
}

#[test]
fn a_trial_that_hangs_is_ended() {
    let dir = tempfile::tempdir().unwrap();
    drop(SledStore::open(dir.path(), &options()).unwrap());
    let options = Options { probe_timeout: Duration::from_millis(50), ..program("sleep", &["1000"]) };
    let refused = SledStore::open(dir.path(), &options).map(drop).unwrap_err();
    assert!(matches!(refused, OpenError::ProbeTimedOut { .. }), "{refused:?}");
}
