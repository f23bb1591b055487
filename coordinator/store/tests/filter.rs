//! `sync_file_range` refused: in a test binary of its own, because the filter stays for the life of the process.
#![allow(clippy::unwrap_used)]

mod workload;

use std::{fs, process::Command};

use longshore_store::{Epoch, Options, SledStore, Store};
use workload::{batch, check, options};

#[test]
fn the_whole_process_and_its_children_are_refused_and_the_store_works() {
    let before = std::thread::spawn(std::thread::park);
    let dir = tempfile::tempdir().unwrap();
    let options = Options { refuse_sync_file_range: true, ..options() };
    let (mut store, _) = SledStore::open(dir.path(), &options).unwrap();
    (1..20).for_each(|n| store.commit(Epoch::default(), &batch(n)).unwrap());
    assert_eq!(check(&store, 19), Ok(19));
    for task in fs::read_dir("/proc/self/task").unwrap() {
        let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        assert!(status.contains("\nSeccomp:\t2\n"), "{status}");
    }
    before.thread().unpark();
    before.join().unwrap();
    if cfg!(target_arch = "x86_64") {
        let call = "open F, '<', '/proc/self/exe'; print syscall(277, fileno(F), 0, 0, 0), ' ', $!+0";
        match Command::new("perl").args(["-e", call]).output() {
            Ok(said) => assert_eq!(String::from_utf8_lossy(&said.stdout), "-1 38"),
            Err(error) => eprintln!("NOT TRIED: calling sync_file_range needs perl: {error}"),
        }
    }
    drop(store);
    let (store, _) = SledStore::open(dir.path(), &options).unwrap();
    assert_eq!(check(&store, 19), Ok(19));
}
