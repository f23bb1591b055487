//! Data directories of every format, as they were once written, opened by the program of today.
//!
//! They are in `coordinator/tests/data/format-N`. When `FORMAT` rises, the test that misses its directory writes it: look at it
//! and check it in. A directory that is there is never written again: it stands for those that people have. What the one of
//! a format before has to be is then said by a test of its own, whether it is refused or read.

mod contents;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use longshore_blobs::Holding;
use longshore_core::{ItemKey, Ledger, Namespace, Settings};
use longshore_proto::Digest;
use longshore_store::{Entry, Options, SledStore, Store};
use prost::Message;
use walkdir::WalkDir;

use crate::{
    Config, Coordinator, OpenError,
    kept::{
        catalog::Catalog,
        error::LoadError,
        format::{FORMAT, Found},
        inventory,
    },
};

/// The directory of a format, as it was checked in.
fn checked_in(format: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/format-{format}"))
}

/// A copy that may be opened.
fn copy(format: u32) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, content) in files(&checked_in(format)) {
        let to = dir.path().join(path);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(to, content).unwrap();
    }
    dir
}

/// Every file below, with what is in it.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = WalkDir::new(dir).into_iter().map(Result::unwrap);
    let files = entries.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path);
    files.map(|path| (path.strip_prefix(dir).unwrap().to_owned(), fs::read(&path).unwrap())).collect()
}

/// No ballast, and workers are waited for as long as the test takes.
fn config(dir: &Path) -> Config {
    let settings = Settings { lease_ms: 3_600_000, reunion_ms: 3_600_000, ..Settings::default() };
    Config {
        settings,
        store: Options { ballast_bytes: 0, ..Options::default() },
        ..Config::new(dir, dir.join("keys"), dir.join("audit"))
    }
}

/// Everything in the store of a data directory.
fn entries(dir: &Path) -> Vec<Entry> {
    let (store, _) = SledStore::open(&dir.join("store"), &Options { ballast_bytes: 0, ..Options::default() }).unwrap();
    store.scan(&[], None, usize::MAX).unwrap()
}

#[test]
fn format_2_is_refused_by_its_name_and_left_as_it_was() {
    let dir = copy(2);
    let before = files(dir.path());
    let error = Coordinator::open(&config(dir.path())).err().unwrap();
    let OpenError::Load(error @ LoadError::Format { found: Found::Unsaid, .. }) = error else { panic!("{error:?}") };
    let text = error.to_string();
    assert!(text.contains("format 2 or 1") && text.contains("format 3") && text.contains("--data"), "{text}");
    assert!(files(dir.path()) == before, "something was changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn format_2_is_refused_too_where_the_file_beside_it_says_otherwise() {
    let dir = copy(2);
    fs::write(dir.path().join("format"), "3\n").unwrap();
    let before = entries(dir.path());
    let error = Coordinator::open(&config(dir.path())).err().unwrap();
    assert!(matches!(error, OpenError::Load(LoadError::Format { found: Found::Said(2), .. })), "{error:?}");
    assert!(entries(dir.path()) == before, "something was changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn format_3_is_opened_with_everything_that_was_kept() {
    let dir = copy(3);
    let coordinator = Coordinator::open(&config(dir.path())).unwrap();
    assert_eq!(coordinator.epoch(), contents::EPOCH_KEPT + 1);
    let mut wanted = Ledger::default();
    contents::records().iter().for_each(|record| wanted.apply(record));
    let same = coordinator.driver.read(move |core| *core.ledger() == wanted).await.unwrap();
    assert!(same, "the ledger is another");
    tokio::task::block_in_place(|| check_details(&coordinator.catalog));
    let held = inventory::load(coordinator.catalog.reader()).unwrap();
    let file = Holding::File { digest: blake3::hash(&contents::large()), size: 70_000 };
    let held: Vec<Holding> = held.into_iter().filter(|(whose, _)| whose.is_default()).map(|(_, held)| held).collect();
    assert_eq!(held, [Holding::Pack { number: 1, bytes: 31_219, damaged: 0 }, file]);
    let whose = coordinator.driver.read(|core| core.ledger().jobs().all(|job| job.record.namespace.is_default()));
    assert!(whose.await.unwrap(), "what was before there were others is the default namespace's");
    coordinator.driver.stop().await;
}

/// What the core does not read.
fn check_details(catalog: &Catalog) {
    for (job, submission) in contents::submissions() {
        assert_eq!(catalog.submission(job).unwrap().request(), &submission);
        let inputs = contents::inputs(submission.inputs[0].count);
        for (index, input) in (0..).zip(inputs.blobs) {
            assert_eq!(catalog.inputs(job).unwrap().get(catalog.lists(), index).unwrap(), input);
        }
    }
    let large = blake3::hash(&contents::large());
    assert!(catalog.rooms().of(&Namespace::default()).get(&large).unwrap() == contents::large());
    let item = |job, stage, index| ItemKey { job, stage, index };
    for (stage, index) in (0..2).flat_map(|stage| (0..contents::SUCCESSES).map(move |index| (stage, index))) {
        let item = item(contents::SUCCEEDED, stage, index);
        let (success, outcome) = catalog.outcome(&item).unwrap().unwrap();
        assert!(success);
        if item == contents::LISTED {
            assert_eq!(
                catalog.outputs(&catalog.room_of(item.job).unwrap(), outcome).unwrap(),
                contents::listed().blobs
            );
        } else {
            assert_eq!(outcome, contents::success(&item));
        }
    }
    let failed = catalog.outcome(&item(contents::FAILED, 0, 1)).unwrap();
    assert_eq!(failed, Some((false, contents::failure())));
    let given_up = catalog.outcome(&item(contents::FAILED, 0, 2)).unwrap();
    let (success, why) = given_up.unwrap();
    assert!(!success && why.failure.unwrap().message.contains("went away each time"));
    assert_eq!(catalog.outcome(&item(contents::RUNNING, 0, 1)).unwrap(), None);
    let trouble = catalog.trouble(&item(contents::RUNNING, 0, 2)).unwrap();
    assert_eq!(trouble, Some((1 + 2 + 5, contents::failure())));
    let spec = contents::service();
    let digest = Digest::of(&spec.encode_to_vec());
    assert_eq!(catalog.room(&Namespace::default()).service_spec(digest).unwrap(), spec);
}

#[test]
fn the_format_of_today_is_checked_in_and_written_as_it_was() {
    let place = checked_in(FORMAT);
    if !place.exists() {
        fs::create_dir(&place).unwrap();
        contents::write(&place);
        for lock in ["store/lock", "blobs/lock"] {
            fs::remove_file(place.join(lock)).unwrap();
        }
        panic!("{} was missing and has been written: look at it and check it in", place.display());
    }
    let dir = tempfile::tempdir().unwrap();
    contents::write(dir.path());
    assert_eq!(entries(dir.path()), entries(copy(FORMAT).path()));
}
