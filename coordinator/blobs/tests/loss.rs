//! What was acknowledged and is not there any more is named at the next opening, and never taken for a torn end.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{FileExt, PermissionsExt},
    path::{Path, PathBuf},
};

use longshore_blobs::{
    BlobStore, Harm, Hash, Holding, Inspection, LocalBlobs, Loss, MAX_PACK_BYTES, MAX_SMALL_BYTES, OpenError,
};

const HEADER_BYTES: u64 = 44;

/// A directory and what its checkpoints have answered, kept as its owner would.
struct Kept {
    dir: tempfile::TempDir,
    holdings: BTreeMap<String, Holding>,
}

impl Kept {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), holdings: BTreeMap::new() }
    }

    /// Two small blobs and a large one that are acknowledged, and a small one that is not.
    fn filled() -> Self {
        let mut kept = Self::new();
        let blobs = kept.open();
        put(&blobs, b"first");
        put(&blobs, b"second");
        write(&blobs, &large());
        kept.checkpoint(&blobs);
        put(&blobs, b"not acknowledged");
        kept
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("blobs")
    }

    fn pack(&self) -> PathBuf {
        self.path().join("packs/0000000001.pack")
    }

    fn file(&self) -> PathBuf {
        let hex = blake3::hash(&large()).to_hex();
        self.path().join("files").join(&hex[..2]).join(hex.as_str())
    }

    fn try_open(&mut self, accept: bool) -> Result<LocalBlobs, OpenError> {
        let holdings: Vec<_> = self.holdings.values().copied().collect();
        let opened = LocalBlobs::open(self.path(), &holdings, accept)?;
        for gone in &opened.gone {
            self.holdings.remove(&key(gone)).unwrap();
        }
        self.checkpoint(&opened.blobs);
        Ok(opened.blobs)
    }

    fn open(&mut self) -> LocalBlobs {
        self.try_open(false).unwrap()
    }

    fn checkpoint(&mut self, blobs: &LocalBlobs) {
        let holdings = blobs.checkpoint().unwrap();
        self.holdings.extend(holdings.into_iter().map(|holding| (key(&holding), holding)));
    }

    /// The bytes of the first pack that were acknowledged.
    fn acknowledged(&self) -> u64 {
        HEADER_BYTES + 5 + HEADER_BYTES + 6
    }

    /// What is found without opening it.
    fn inspect(&self) -> Inspection {
        let holdings: Vec<_> = self.holdings.values().copied().collect();
        Inspection::of(&self.path(), &holdings, &mut |_| true).unwrap().unwrap()
    }

    /// Refused as `harm` of `path`, with nothing changed; accepted; and then opened as ever.
    #[track_caller]
    fn is_lost(&mut self, path: &Path, harm: Harm) {
        let before = snapshot(&self.path());
        let found = self.inspect().losses;
        let lost = Loss { path: path.to_owned(), harm };
        assert!(found.contains(&lost), "{lost} is not found by an inspection, but {found:?}");
        match self.try_open(false) {
            Err(error @ OpenError::Lost { .. }) => {
                let OpenError::Lost { first, .. } = &error else { unreachable!() };
                assert_eq!((first.path.as_path(), first.harm), (path, harm));
                assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(snapshot(&self.path()), before, "nothing is changed");
        drop(self.try_open(true).unwrap());
        drop(self.open());
        assert_eq!(self.inspect().losses, [], "it is known now");
    }
}

fn key(holding: &Holding) -> String {
    match holding {
        Holding::Pack { number, .. } => format!("pack {number}"),
        Holding::File { digest, .. } => format!("file {digest}"),
    }
}

/// All files with their bytes, but the lock and listings.
fn snapshot(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir).into_iter().flatten().map(Result::unwrap) {
        let path = entry.path();
        match path.is_dir() {
            true => files.extend(snapshot(&path)),
            false => drop(files.insert(path.clone(), fs::read(&path).unwrap())),
        }
    }
    files
}

fn large() -> Vec<u8> {
    vec![5; 200_000]
}

fn put(blobs: &LocalBlobs, content: &[u8]) -> Hash {
    let digest = blake3::hash(content);
    blobs.append_small(&digest, content).unwrap();
    digest
}

fn write(blobs: &LocalBlobs, content: &[u8]) {
    let mut writer = blobs.create().unwrap();
    writer.write(content).unwrap();
    writer.finish(None).unwrap();
}

fn cut(path: &Path, bytes: u64) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::File::options().write(true).open(path).unwrap().set_len(bytes).unwrap();
}

fn overwrite(path: &Path, at: u64) {
    fs::File::options().write(true).open(path).unwrap().write_all_at(&[0xee; 2], at).unwrap();
}

#[test]
fn a_checkpoint_answers_each_thing_once() {
    let mut kept = Kept::new();
    let blobs = kept.open();
    put(&blobs, b"first");
    write(&blobs, &large());
    let mut first = blobs.checkpoint().unwrap();
    first.sort_by_key(key);
    let pack = |bytes| Holding::Pack { number: 1, bytes, damaged: 0 };
    let file = Holding::File { digest: blake3::hash(&large()), size: 200_000 };
    assert_eq!(first, [file, pack(HEADER_BYTES + 5)]);
    put(&blobs, b"first");
    write(&blobs, &large());
    assert_eq!(blobs.checkpoint().unwrap(), []);
    put(&blobs, b"second");
    assert_eq!(blobs.checkpoint().unwrap(), [pack(2 * HEADER_BYTES + 11)]);
}

#[test]
fn what_was_put_after_the_last_checkpoint_is_in_the_next_ones_of_the_next_opening() {
    let mut kept = Kept::new();
    let blobs = kept.open();
    put(&blobs, b"first");
    write(&blobs, &large());
    drop(blobs);
    drop(kept.open());
    assert_eq!(kept.holdings.len(), 2);
    let blobs = kept.open();
    assert_eq!(blobs.checkpoint().unwrap(), [], "and in no other");
}

#[test]
fn a_tail_that_was_not_acknowledged_is_cut_without_a_word() {
    let whole = Kept::filled();
    let bytes = fs::metadata(whole.pack()).unwrap().len();
    for at in (whole.acknowledged()..bytes).step_by(7) {
        let mut kept = Kept::filled();
        cut(&kept.pack(), at);
        let blobs = kept.open();
        assert!(blobs.contains(&blake3::hash(b"second")) && !blobs.contains(&blake3::hash(b"not acknowledged")));
        drop(blobs);
        // Long enough, but zeros.
        let mut kept = Kept::filled();
        cut(&kept.pack(), at);
        cut(&kept.pack(), bytes + 5000);
        kept.open();
        kept.open();
    }
}

#[test]
fn a_pack_that_is_gone_emptied_or_cut_is_lost() {
    let mut kept = Kept::filled();
    let (pack, acknowledged) = (kept.pack(), kept.acknowledged());
    fs::remove_file(&pack).unwrap();
    kept.is_lost(&pack, Harm::Gone);
    for found in [0, 1, HEADER_BYTES + 5, acknowledged - 1] {
        let mut kept = Kept::filled();
        let pack = kept.pack();
        cut(&pack, found);
        kept.is_lost(&pack, Harm::Size { found, acknowledged });
        // The rest is there, and what is put again is held.
        let blobs = kept.open();
        assert_eq!(blobs.contains(&blake3::hash(b"first")), found >= HEADER_BYTES + 5);
        assert!(!blobs.contains(&blake3::hash(b"second")));
        assert!(blobs.append_small(&blake3::hash(b"second"), b"second").unwrap());
    }
}

#[test]
fn bytes_overwritten_in_a_pack_are_lost_if_they_were_acknowledged() {
    for at in [0, 10, HEADER_BYTES, HEADER_BYTES + 5 + 20, 2 * HEADER_BYTES + 8] {
        let mut kept = Kept::filled();
        let pack = kept.pack();
        overwrite(&pack, at);
        kept.is_lost(&pack, Harm::Damaged { stretches: 1 });
        // What was accepted is known; one more place is another loss.
        let blobs = kept.open();
        put(&blobs, b"a later blob");
        kept.checkpoint(&blobs);
        drop(blobs);
        let end = fs::metadata(kept.pack()).unwrap().len();
        overwrite(&kept.pack(), end - 10);
        kept.is_lost(&pack, Harm::Damaged { stretches: 2 });
    }
    let mut kept = Kept::filled();
    overwrite(&kept.pack(), kept.acknowledged() + HEADER_BYTES);
    kept.open();
    kept.open();
}

#[test]
fn a_pack_of_zeros_in_its_full_length_is_lost() {
    let mut kept = Kept::filled();
    let (pack, bytes) = (kept.pack(), fs::metadata(kept.pack()).unwrap().len());
    fs::write(&pack, vec![0; bytes as usize]).unwrap();
    kept.is_lost(&pack, Harm::Damaged { stretches: 1 });
}

#[test]
fn damage_that_was_healed_by_putting_the_blob_again_is_no_loss() {
    let mut kept = Kept::filled();
    let blobs = kept.open();
    overwrite(&kept.pack(), HEADER_BYTES);
    assert!(blobs.get(&blake3::hash(b"first")).is_err());
    assert!(blobs.append_small(&blake3::hash(b"first"), b"first").unwrap());
    kept.checkpoint(&blobs);
    drop(blobs);
    assert_eq!(kept.open().get(&blake3::hash(b"first")).unwrap(), b"first".as_slice());
}

#[test]
fn a_large_blobs_file_that_is_gone_or_has_another_size_is_lost() {
    let digest = blake3::hash(&large());
    let mut kept = Kept::filled();
    let file = kept.file();
    fs::remove_file(&file).unwrap();
    kept.is_lost(&file, Harm::Gone);
    assert!(!kept.open().contains(&digest));
    for found in [0, 199_999, 200_001] {
        let mut kept = Kept::filled();
        let file = kept.file();
        cut(&file, found);
        kept.is_lost(&file, Harm::Size { found, acknowledged: 200_000 });
        let blobs = kept.open();
        write(&blobs, &large());
        kept.checkpoint(&blobs);
        drop(blobs);
        assert_eq!(kept.open().get(&digest).unwrap(), large(), "it can be put again");
    }
}

#[test]
fn all_blobs_gone_are_lost_and_nothing_is_made_in_their_place() {
    let mut kept = Kept::filled();
    fs::remove_dir_all(kept.path()).unwrap();
    match kept.try_open(false) {
        Err(OpenError::Lost { others: 1, .. }) => {}
        other => panic!("{other:?}"),
    }
    assert!(!kept.path().exists());
}

#[test]
fn an_inspection_reads_everything_and_changes_nothing() {
    let mut kept = Kept::filled();
    let before = snapshot(&kept.path());
    let mut last = None;
    let holdings: Vec<_> = kept.holdings.values().copied().collect();
    let found = Inspection::of(&kept.path(), &holdings, &mut |progress| last.replace(progress).is_none_or(|_| true));
    let found = found.unwrap().unwrap();
    let last = last.unwrap();
    assert_eq!((found.packs, found.files, found.bytes, last.read), (1, 1, last.total, last.total));
    for content in [b"first".to_vec(), b"second".to_vec(), b"not acknowledged".to_vec(), large()] {
        assert!(found.holds(&blake3::hash(&content)));
        assert_eq!(found.get(&blake3::hash(&content)).unwrap(), content);
    }
    assert!(!found.holds(&blake3::hash(b"other")) && found.get(&blake3::hash(b"other")).is_err());
    assert_eq!((found.losses, found.torn_bytes), (vec![], 0));
    assert!(Inspection::of(&kept.path(), &[], &mut |_| false).unwrap().is_none(), "it can be stopped");
    assert_eq!(snapshot(&kept.path()), before);
    // What nobody sees who does not read everything.
    fs::set_permissions(kept.file(), fs::Permissions::from_mode(0o600)).unwrap();
    overwrite(&kept.file(), 150_000);
    cut(&kept.pack(), kept.acknowledged() + 50);
    let found = kept.inspect();
    assert_eq!(found.losses, [Loss { path: kept.file(), harm: Harm::Content }]);
    assert_eq!(found.torn_bytes, 50);
    assert!(!found.holds(&blake3::hash(&large())));
    kept.open();
}

#[test]
fn a_full_pack_is_watched_as_the_newest_is() {
    let mut kept = Kept::new();
    let blobs = kept.open();
    let count = MAX_PACK_BYTES / MAX_SMALL_BYTES as u64 + 20;
    for n in 0..count {
        let mut content = vec![0; MAX_SMALL_BYTES];
        content[..8].copy_from_slice(&n.to_be_bytes());
        put(&blobs, &content);
    }
    kept.checkpoint(&blobs);
    drop(blobs);
    assert_eq!(kept.holdings.len(), 2);
    drop(kept.open());
    let (pack, whole) = (kept.pack(), fs::metadata(kept.pack()).unwrap().len());
    cut(&pack, whole - 1);
    match kept.try_open(false) {
        Err(OpenError::Lost { first, others: 0 }) => {
            assert_eq!((first.path, first.harm), (pack.clone(), Harm::Size { found: whole - 1, acknowledged: whole }));
        }
        other => panic!("{other:?}"),
    }
    kept.try_open(true).unwrap();
    // A header in its middle: seen where no listing stands in for the pack.
    overwrite(&pack, 10 * (HEADER_BYTES + MAX_SMALL_BYTES as u64));
    let _ = fs::remove_file(pack.with_extension("list"));
    match kept.try_open(false) {
        Err(OpenError::Lost { first, .. }) => assert!(matches!(first.harm, Harm::Damaged { .. }), "{first}"),
        other => panic!("{other:?}"),
    }
    kept.try_open(true).unwrap();
    kept.open();
}
