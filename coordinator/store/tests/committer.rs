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
    Batch, CommitError, Committer, Entry, MAX_GROUP_REQUESTS, MAX_VALUE_BYTES, MemoryDisk, MemoryStore, ReadError,
    Reader, Store, Value, conformance::everything,
};

/// A store in memory whose commits wait for a word, are counted, and fail when told to.
struct Guided {
    inner: MemoryStore,
    go: Option<Receiver<Word>>,
    sizes: Arc<Mutex<Vec<usize>>>,
}

enum Word {
    Go,
    Fail(CommitError),
    Panic,
}

impl Store for Guided {
    fn commit(&mut self, batch: &Batch) -> Result<(), CommitError> {
        self.sizes.lock().unwrap().push(batch.len());
        match self.go.as_ref().map(|go| go.recv().unwrap_or(Word::Go)) {
            None | Some(Word::Go) => self.inner.commit(batch),
            Some(Word::Fail(error)) => Err(error),
            Some(Word::Panic) => panic!("told to"),
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

/// A request's number and how it ended.
type Ended = (u32, Result<(), Arc<CommitError>>);

struct World {
    disk: MemoryDisk,
    sizes: Arc<Mutex<Vec<usize>>>,
    say: SyncSender<Word>,
    committer: Committer,
    ended: (Sender<Ended>, Receiver<Ended>),
}

impl World {
    fn new() -> Self {
        let (disk, sizes, (say, go)) = (MemoryDisk::new(), Arc::default(), sync_channel(1000));
        let store = Guided { inner: disk.open(), go: Some(go), sizes: Arc::clone(&sizes) };
        Self { disk, sizes, say, committer: Committer::start(store, None).unwrap(), ended: channel() }
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

    /// Waits until the thread is inside a commit.
    fn until_committing(&self, commits: usize) {
        while self.sizes.lock().unwrap().len() < commits {
            std::thread::yield_now();
        }
    }
}

fn one(n: u32) -> Batch {
    let mut batch = Batch::new();
    batch.put(n.to_be_bytes(), b"value".as_slice());
    batch
}

fn broken() -> CommitError {
    CommitError::Broken { store: "a store".to_owned(), doing: "flush", source: "as told".into() }
}

#[test]
fn requests_that_wait_share_one_commit_and_are_answered_in_order() {
    let world = World::new();
    world.submit(0, one(0));
    world.until_committing(1);
    (1..=100).for_each(|n| world.submit(n, one(n)));
    world.say(Word::Go);
    world.say(Word::Go);
    for n in 0..=100 {
        let (told, result) = world.next();
        assert_eq!(told, n);
        result.unwrap();
    }
    assert_eq!(*world.sizes.lock().unwrap(), [1, 100]);
}

#[test]
fn a_refused_batch_does_not_hurt_its_neighbours() {
    let world = World::new();
    world.submit(0, one(0));
    world.until_committing(1);
    let mut bad = one(1);
    bad.put(b"big".as_slice(), vec![0; MAX_VALUE_BYTES + 1]);
    world.submit(1, bad);
    world.submit(2, one(2));
    world.say(Word::Go);
    world.say(Word::Go);
    world.next().1.unwrap();
    assert!(matches!(&*world.next().1.unwrap_err(), CommitError::Refused(_)));
    world.next().1.unwrap();
    assert_eq!(everything(&world.disk.open()).len(), 2);
}

#[test]
fn groups_never_outgrow_the_largest_batch() {
    let world = World::new();
    world.submit(0, one(0));
    world.until_committing(1);
    let large = |n: u32| -> Batch {
        let mut batch = Batch::new();
        (0..3500u32).for_each(|m| batch.put([n.to_be_bytes(), m.to_be_bytes()].concat(), vec![0; MAX_VALUE_BYTES]));
        batch
    };
    // 13 MiB leave room in the group by its own bound, 26 do not, and 13 + 60 would not be one batch.
    let mut huge = Batch::new();
    (0..15_000u32).for_each(|m| huge.put([9u32.to_be_bytes(), m.to_be_bytes()].concat(), vec![0; MAX_VALUE_BYTES]));
    world.submit(1, large(1));
    world.submit(2, huge);
    world.submit(3, large(3));
    world.submit(4, large(4));
    (0..4).for_each(|_| world.say(Word::Go));
    (0..=4).for_each(|_| world.next().1.unwrap());
    assert_eq!(*world.sizes.lock().unwrap(), [1, 3500, 15_000, 7000]);
}

#[test]
fn after_a_fatal_error_everything_fails_with_it() {
    let world = World::new();
    world.say(Word::Fail(broken()));
    world.submit(0, one(0));
    let first = world.next().1.unwrap_err();
    world.submit(1, one(1));
    assert!(Arc::ptr_eq(&first, &world.next().1.unwrap_err()));
    assert_eq!(world.sizes.lock().unwrap().len(), 1, "the store is left alone");
}

#[test]
fn too_little_room_is_not_fatal() {
    let world = World::new();
    world.say(Word::Fail(CommitError::LowSpace { dir: "/disk".into(), free: 1, needed: 2 }));
    world.say(Word::Go);
    world.submit(0, one(0));
    assert!(matches!(&*world.next().1.unwrap_err(), CommitError::LowSpace { .. }));
    world.submit(1, one(1));
    world.next().1.unwrap();
}

#[test]
fn a_store_that_panics_is_a_broken_one() {
    let world = World::new();
    world.say(Word::Panic);
    world.submit(0, one(0));
    let error = world.next().1.unwrap_err();
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
fn a_full_queue_gives_the_request_back() {
    let world = World::new();
    world.submit(0, one(0));
    world.until_committing(1);
    (1..=MAX_GROUP_REQUESTS as u32).for_each(|n| world.submit(n, one(n)));
    let rejected = world.committer.try_submit(one(7), Box::new(|_| panic!("it was not taken"))).unwrap_err();
    assert_eq!(rejected.batch, one(7));
    (0..3).for_each(|_| world.say(Word::Go));
}

#[test]
fn the_hook_runs_before_each_commit_and_its_failure_is_fatal() {
    let disk = MemoryDisk::new();
    let (seen, mut left) = (disk.clone(), 2);
    let entries = Arc::new(Mutex::new(Vec::new()));
    let noted = entries.clone();
    let before = move || {
        noted.lock().unwrap().push(everything(&seen.open()).len());
        left -= 1;
        if left == 0 { Err(io::Error::other("cannot sync")) } else { Ok(()) }
    };
    let committer = Committer::start(disk.open(), Some(Box::new(before))).unwrap();
    committer.commit(one(1)).unwrap();
    assert!(committer.commit(one(2)).unwrap_err().is_fatal());
    assert!(committer.commit(one(3)).unwrap_err().is_fatal());
    assert_eq!(*entries.lock().unwrap(), [0, 1], "not tried again");
    assert_eq!(everything(&disk.open()).len(), 1);
}

#[test]
fn a_callback_may_panic_or_drop_the_last_handle() {
    let committer = Arc::new(Committer::start(MemoryDisk::new().open(), None).unwrap());
    committer.submit(one(1), Box::new(|_| panic!("careless")));
    committer.commit(one(2)).unwrap();
    let (ended, end) = channel();
    let (last, go) = sync_channel::<Arc<Committer>>(1);
    committer.submit(
        one(3),
        Box::new(move |_| {
            drop(go.recv());
            ended.send(()).unwrap();
        }),
    );
    last.send(committer).unwrap();
    end.recv().unwrap();
}
