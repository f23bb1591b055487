//! The thread that owns a store.
#![allow(clippy::unwrap_used)]

use std::{
    io,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
};

use longshore_store::{
    Batch, Before, CommitError, Committer, Entry, Epoch, MAX_VALUE_BYTES, MemoryDisk, MemoryStore, Op, ReadError,
    Reader, Store, Value, conformance::everything,
};

/// A store in memory whose commits wait for a word and fail when told to.
struct Guided {
    inner: MemoryStore,
    go: Receiver<Word>,
    tried: Arc<Mutex<usize>>,
}

enum Word {
    Go,
    Fail(CommitError),
    Panic,
}

impl Store for Guided {
    fn begin_epoch(&mut self, at_least: Epoch) -> Result<Epoch, CommitError> {
        self.inner.begin_epoch(at_least)
    }

    fn commit(&mut self, epoch: Epoch, batch: &Batch) -> Result<(), CommitError> {
        *self.tried.lock().unwrap() += 1;
        match self.go.recv().unwrap_or(Word::Go) {
            Word::Go => self.inner.commit(epoch, batch),
            Word::Fail(error) => Err(error),
            Word::Panic => panic!("told to"),
        }
    }

    fn get(&self, key: &[u8]) -> Result<Option<Value>, ReadError> {
        Store::get(&self.inner, key)
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, ReadError> {
        Store::scan(&self.inner, prefix, after, limit)
    }

    fn size_bytes(&self) -> u64 {
        self.inner.size_bytes()
    }

    fn reader(&self) -> Arc<dyn Reader> {
        self.inner.reader()
    }
}

/// A batch's number and how it ended.
type Ended = (u32, Result<(), Arc<CommitError>>);

struct World {
    disk: MemoryDisk,
    tried: Arc<Mutex<usize>>,
    say: SyncSender<Word>,
    committer: Committer,
    ended: (Sender<Ended>, Receiver<Ended>),
}

impl World {
    fn new() -> Self {
        Self::with(None)
    }

    fn with(before: Option<Before>) -> Self {
        let (disk, tried, (say, go)) = (MemoryDisk::new(), Arc::default(), sync_channel(1000));
        let store = Guided { inner: disk.open(), go, tried: Arc::clone(&tried) };
        let committer = Committer::start(store, Epoch::default(), before).unwrap();
        Self { disk, tried, say, committer, ended: channel() }
    }

    fn submit(&self, n: u32, batch: Batch) {
        let ended = self.ended.0.clone();
        self.committer.submit(batch, Box::new(move |result| ended.send((n, result)).unwrap()));
    }

    fn say(&self, word: Word) {
        self.say.send(word).unwrap();
    }

    fn next(&self) -> Ended {
        self.ended.1.recv().unwrap()
    }

    /// Submits and waits, with the word said.
    fn commit(&self, n: u32, word: Word) -> Result<(), Arc<CommitError>> {
        self.say(word);
        self.submit(n, one(n));
        self.next().1
    }

    fn keys(&self) -> Vec<Vec<u8>> {
        everything(&self.disk.open()).into_iter().map(|(key, _)| key).collect()
    }
}

fn one(n: u32) -> Batch {
    let mut batch = Batch::new();
    batch.put(n.to_be_bytes(), b"value".as_slice());
    batch
}

fn low_space() -> CommitError {
    CommitError::LowSpace { dir: "/disk".into(), free: 1, needed: 2 }
}

#[test]
fn batches_are_committed_and_answered_in_order() {
    let world = World::new();
    (0..=50).for_each(|n| world.submit(n, one(n)));
    (0..=50).for_each(|_| world.say(Word::Go));
    for n in 0..=50 {
        let (told, result) = world.next();
        assert_eq!(told, n);
        result.unwrap();
    }
    assert_eq!(*world.tried.lock().unwrap(), 51);
}

#[test]
fn a_refused_batch_does_not_hurt_the_next() {
    let world = World::new();
    let mut bad = one(1);
    bad.put(b"big".as_slice(), vec![0; MAX_VALUE_BYTES + 1]);
    world.submit(1, bad);
    assert!(matches!(&*world.next().1.unwrap_err(), CommitError::Refused(_)));
    world.commit(2, Word::Go).unwrap();
    assert_eq!(world.keys().len(), 1);
}

#[test]
fn after_a_fatal_error_everything_fails_with_it() {
    let world = World::new();
    let broken = CommitError::Broken { store: "a store".to_owned(), doing: "flush", source: "as told".into() };
    let first = world.commit(0, Word::Fail(broken)).unwrap_err();
    world.submit(1, one(1));
    assert!(Arc::ptr_eq(&first, &world.next().1.unwrap_err()));
    assert_eq!(*world.tried.lock().unwrap(), 1, "the store is left alone");
}

#[test]
fn an_owner_whose_epoch_is_over_commits_nothing_more() {
    let world = World::new();
    world.commit(0, Word::Go).unwrap();
    world.disk.open().begin_epoch(Epoch::default()).unwrap();
    assert!(matches!(&*world.commit(1, Word::Go).unwrap_err(), CommitError::Fenced { .. }));
    world.submit(2, one(2));
    assert!(matches!(&*world.next().1.unwrap_err(), CommitError::Fenced { .. }));
    assert_eq!(world.keys(), [0_u32.to_be_bytes()]);
}

#[test]
fn too_little_room_is_not_fatal() {
    let world = World::new();
    assert!(matches!(&*world.commit(0, Word::Fail(low_space())).unwrap_err(), CommitError::LowSpace { .. }));
    world.commit(1, Word::Go).unwrap();
}

#[test]
fn a_store_that_panics_is_a_broken_one() {
    let world = World::new();
    let error = world.commit(0, Word::Panic).unwrap_err();
    assert!(error.is_fatal() && format!("{error:?}").contains("told to"), "{error:?}");
}

#[test]
fn dropping_the_handle_commits_what_waits() {
    let world = World::new();
    (0..50).for_each(|n| world.submit(n, one(n)));
    (0..50).for_each(|_| world.say(Word::Go));
    let World { committer, disk, ended, .. } = world;
    drop(committer);
    assert_eq!(everything(&disk.open()).len(), 50);
    drop(ended.0);
    assert!(ended.1.iter().all(|(_, result)| result.is_ok()));
}

#[test]
fn the_hook_runs_before_each_commit_and_its_failure_is_fatal() {
    let mut left = 2;
    let world = World::with(Some(Box::new(move || {
        left -= 1;
        if left == 0 { Err(io::Error::other("cannot sync")) } else { Ok(Vec::new()) }
    })));
    world.commit(1, Word::Go).unwrap();
    assert!(world.commit(2, Word::Go).unwrap_err().is_fatal());
    assert!(world.commit(3, Word::Go).unwrap_err().is_fatal(), "not tried again");
    assert_eq!(world.keys(), [1_u32.to_be_bytes()]);
}

#[test]
fn what_the_hook_answers_is_in_the_next_commit_that_is_kept() {
    let mut said = 0_u8;
    let world = World::with(Some(Box::new(move || {
        said += 1;
        Ok(vec![Op::Put(vec![b'h', said], Vec::new())])
    })));
    world.commit(1, Word::Fail(low_space())).unwrap_err();
    assert_eq!(world.keys(), Vec::<Vec<u8>>::new());
    world.commit(1, Word::Go).unwrap();
    assert_eq!(world.keys(), [1_u32.to_be_bytes().to_vec(), vec![b'h', 1], vec![b'h', 2]]);
}

#[test]
fn a_callback_may_panic_or_drop_the_last_handle() {
    let committer = Committer::start(MemoryDisk::new().open(), Epoch::default(), None).unwrap();
    committer.submit(one(1), Box::new(|_| panic!("careless")));
    let (ended, end) = channel();
    let (last, go) = sync_channel::<Committer>(1);
    committer.submit(
        one(2),
        Box::new(move |result| {
            result.unwrap();
            drop(go.recv());
            ended.send(()).unwrap();
        }),
    );
    last.send(committer).unwrap();
    end.recv().unwrap();
}
