//! The conformance suite, run for each backend, and random scenarios that shrink.
#![allow(clippy::unwrap_used)]

use longshore_store::{
    Batch, MemoryDisk, Op, Options, SledStore, Store,
    conformance::{self, Step},
};
use proptest::{collection::vec, option, prelude::*};
use tempfile::TempDir;

fn open_sled(dir: &TempDir) -> Box<dyn Store> {
    let options = Options { ballast_bytes: 0, ..Options::default() };
    Box::new(SledStore::open(&dir.path().join("store"), &options).unwrap().0)
}

#[test]
fn sled_conforms() {
    conformance::run(|| tempfile::tempdir().unwrap(), open_sled);
}

#[test]
fn memory_conforms() {
    conformance::run(MemoryDisk::new, |disk| Box::new(disk.open()));
}

fn a_key() -> impl Strategy<Value = Vec<u8>> {
    vec(prop_oneof![Just(0), Just(1), Just(0xfe), Just(b'k')], 1..4)
}

fn an_op() -> impl Strategy<Value = Op> {
    let put = (a_key(), vec(any::<u8>(), 0..20)).prop_map(|(key, value)| Op::Put(key, value));
    prop_oneof![2 => put, 1 => a_key().prop_map(Op::Delete)]
}

fn a_step() -> impl Strategy<Value = Step> {
    let scan = (vec(0..2u8, 0..2), option::of(a_key()), 0..20usize);
    prop_oneof![
        6 => vec(an_op(), 0..12).prop_map(|ops| Step::Commit(Batch { ops })),
        3 => a_key().prop_map(Step::Get),
        3 => scan.prop_map(|(prefix, after, limit)| Step::Scan { prefix, after, limit }),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sled_follows_the_model(steps in vec(a_step(), 1..40)) {
        let dir = tempfile::tempdir().unwrap();
        conformance::follow(&mut || open_sled(&dir), &steps);
    }

    #[test]
    fn memory_follows_the_model(steps in vec(a_step(), 1..40)) {
        let disk = MemoryDisk::new();
        conformance::follow(&mut || Box::new(disk.open()), &steps);
    }
}
