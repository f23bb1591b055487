//! Random histories of puts, gets, syncs and reopenings, compared with a map.
#![allow(clippy::unwrap_used)]

use std::{collections::HashMap, fs, path::Path};

use longshore_blobs::{BlobStore, GetError, Handover, Hash, LocalBlobs, MAX_SMALL_BYTES, PutError};
use proptest::{collection::vec, prelude::*};

/// Of a record in a pack, before its bytes.
const HEADER_BYTES: usize = 44;

#[derive(Debug, Clone)]
enum Step {
    Append(usize),
    Write { which: usize, piece: usize },
    Adopt(usize),
    Abandon(usize),
    Lie(usize, usize),
    Read { which: usize, chunk: usize },
    Sync,
    Reopen,
}

/// Opens a directory of which nothing is known.
fn open(dir: impl AsRef<Path>) -> LocalBlobs {
    LocalBlobs::open(dir, &[], false).unwrap().blobs
}

/// The blobs of all histories: sizes around every limit.
fn content(which: usize) -> Vec<u8> {
    let sizes = [0, 1, 44, 1000, 65_535, MAX_SMALL_BYTES, MAX_SMALL_BYTES + 1, 300_000];
    let mut content = vec![which as u8; sizes[which % sizes.len()]];
    content.extend((which >= sizes.len()).then_some(7));
    content
}

fn a_step() -> impl Strategy<Value = Step> {
    let which = || 0..14usize;
    prop_oneof![
        4 => which().prop_map(Step::Append),
        4 => (which(), 1..100_000usize).prop_map(|(which, piece)| Step::Write { which, piece }),
        2 => which().prop_map(Step::Adopt),
        1 => which().prop_map(Step::Abandon),
        1 => (which(), which()).prop_map(|(one, other)| Step::Lie(one, other)),
        8 => (which(), 1..100_000usize).prop_map(|(which, chunk)| Step::Read { which, chunk }),
        1 => Just(Step::Sync),
        1 => Just(Step::Reopen),
    ]
}

#[derive(Default)]
struct Model(HashMap<Hash, Vec<u8>>);

impl Model {
    /// Whether it is new.
    fn put(&mut self, content: &[u8]) -> bool {
        self.0.insert(blake3::hash(content), content.to_vec()).is_none()
    }
}

fn read(blobs: &LocalBlobs, model: &Model, which: usize, chunk: usize) {
    let digest = blake3::hash(&content(which));
    let expected = model.0.get(&digest);
    assert_eq!(blobs.contains(&digest), expected.is_some());
    assert_eq!(blobs.size(&digest), expected.map(|content| content.len() as u64));
    let Some(expected) = expected else {
        assert!(matches!(blobs.get(&digest), Err(GetError::NotFound { .. })));
        assert!(matches!(blobs.read_chunks(&digest, chunk).map(drop), Err(GetError::NotFound { .. })));
        return;
    };
    assert_eq!(blobs.get(&digest).unwrap(), expected);
    let chunks: Vec<_> = blobs.read_chunks(&digest, chunk).unwrap().map(Result::unwrap).collect();
    assert!(chunks.iter().rev().skip(1).all(|full| full.len() == chunk));
    assert_eq!(chunks.concat(), *expected);
    assert_eq!(blobs.open_large(&digest).is_ok(), expected.len() > MAX_SMALL_BYTES);
}

fn follow(steps: &[Step]) {
    let dir = tempfile::tempdir().unwrap();
    let (path, source) = (dir.path().join("blobs"), dir.path().join("source"));
    let mut blobs = Some(open(&path));
    let mut model = Model::default();
    for step in steps {
        let held = blobs.as_ref().unwrap();
        match *step {
            Step::Append(which) => {
                let content = content(which);
                let put = held.append_small(&blake3::hash(&content), &content);
                if content.len() > MAX_SMALL_BYTES {
                    assert!(matches!(put, Err(PutError::TooLarge { .. })));
                } else {
                    assert_eq!(put.unwrap(), model.put(&content));
                }
            }
            Step::Write { which, piece } => {
                let content = content(which);
                let mut writer = held.create().unwrap();
                content.chunks(piece).for_each(|piece| writer.write(piece).unwrap());
                assert_eq!(writer.size_bytes(), content.len() as u64);
                let expected = (piece % 2 == 0).then(|| blake3::hash(&content));
                assert_eq!(writer.finish(expected).unwrap(), (blake3::hash(&content), model.put(&content)));
            }
            Step::Adopt(which) => {
                fs::write(&source, content(which)).unwrap();
                let file = fs::File::open(&source).unwrap();
                assert_eq!(held.adopt_link(&source, &file).unwrap(), blake3::hash(&content(which)));
                model.put(&content(which));
                fs::remove_file(&source).unwrap();
            }
            Step::Abandon(which) => held.create().unwrap().write(&content(which)).unwrap(),
            Step::Lie(one, other) if one != other => {
                let (digest, content) = (blake3::hash(&content(one)), content(other));
                let mut writer = held.create().unwrap();
                writer.write(&content).unwrap();
                assert!(matches!(writer.finish(Some(digest)), Err(PutError::Mismatch { .. })));
                assert!(held.append_small(&digest, &content).is_err());
            }
            Step::Lie(..) => {}
            Step::Read { which, chunk } => read(held, &model, which, chunk),
            Step::Sync => held.sync().unwrap(),
            Step::Reopen => {
                drop(blobs.take());
                blobs = Some(open(&path));
            }
        }
        assert_eq!(fs::read_dir(path.join("temp")).unwrap().count(), 0, "{step:?} left something");
    }
    drop(blobs);
    let blobs = open(&path);
    (0..14).for_each(|which| read(&blobs, &model, which, 1000));
    let small = model.0.values().filter(|content| content.len() <= MAX_SMALL_BYTES);
    let records: u64 = small.map(|content| (HEADER_BYTES + content.len()) as u64).sum();
    let pack = fs::metadata(path.join("packs/0000000001.pack")).map_or(0, |pack| pack.len());
    assert_eq!(pack, records, "each small blob is kept once");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn histories_follow_the_model(steps in vec(a_step(), 1..40)) {
        follow(&steps);
    }
}
