//! kill -9 at any moment loses nothing that was acknowledged. Set `LONGSHORE_KILLS` for more kills.
#![allow(clippy::unwrap_used)]

mod workload;

use longshore_store::SledStore;
use workload::{Orders, Writer, check, options, write_if_asked};

#[test]
fn writer_process() {
    write_if_asked();
}

#[test]
fn killed_writers_lose_no_acknowledged_commit() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let mut held = 0;
    let cycles = std::env::var("LONGSHORE_KILLS").map_or(12, |kills| kills.parse().unwrap());
    for cycle in 0..cycles {
        let mut writer = Writer::start("writer_process", &path, Orders::default());
        // In some cycles it dies while it opens, in others while it commits.
        if cycle % 4 != 3 {
            writer.wait_for(held + 1 + cycle * 17 % 90);
        }
        writer.kill();
        let acked = writer.acked().max(held);
        let (store, opened) = SledStore::open(&path, &options()).unwrap();
        held = check(&store, acked).unwrap_or_else(|lost| panic!("cycle {cycle}: {lost}"));
        assert_eq!(opened.commit_seq, held);
    }
    assert!(held > 100);
}
