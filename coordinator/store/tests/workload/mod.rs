//! A writer in a process of its own (this test binary again), and the check that a store holds exactly a prefix of what
//! it wrote, at least up to the last acknowledgement.
#![allow(dead_code, clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    env,
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

use longshore_store::{Batch, Epoch, Op, Options, Store, conformance::everything};

const DIR: &str = "LONGSHORE_TEST_WRITER_DIR";
const OPTIONS: &str = "LONGSHORE_TEST_WRITER_OPTIONS";

/// The `n`th commit, counted from 1: appends, overwrites, deletes; now and then a large one.
pub fn batch(n: u64) -> Batch {
    let mut batch = Batch::new();
    batch.put(b"count".as_slice(), n.to_be_bytes());
    let records = if n.is_multiple_of(40) { 400 } else { 1 + n % 12 };
    for record in 0..records {
        batch.put(format!("append/{n:08}/{record:04}"), filler(n, 100 + (n * record) % 500));
        batch.put(format!("over/{:04}", (n * 31 + record * 7) % 1000), filler(n, 200));
    }
    if let Some(old) = n.checked_sub(30) {
        for record in 0..400 {
            batch.delete(format!("append/{old:08}/{record:04}"));
        }
    }
    batch
}

fn filler(n: u64, bytes: u64) -> Vec<u8> {
    (0..bytes).map(|at| (n * 131 + at * 17) as u8).collect()
}

/// Everything a store must hold after the `n`th commit.
pub fn state(n: u64) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut entries = BTreeMap::new();
    for op in (1..=n).flat_map(|n| batch(n).ops) {
        match op {
            Op::Put(key, value) => drop(entries.insert(key, value)),
            Op::Delete(key) => drop(entries.remove(&key)),
        }
    }
    entries.into_iter().collect()
}

/// The number of commits a store holds.
pub fn count(store: &dyn Store) -> u64 {
    store.get(b"count").unwrap().map_or(0, |count| u64::from_be_bytes(count.try_into().unwrap()))
}

/// Whether the store holds the state after some commit that is not before `acked`.
pub fn check(store: &dyn Store, acked: u64) -> Result<u64, String> {
    let held = count(store);
    if held < acked {
        return Err(format!("{acked} commits were acknowledged, {held} are there"));
    }
    if everything(store) != state(held) {
        return Err(format!("it does not hold the state after commit {held}"));
    }
    Ok(held)
}

/// Options for small tests.
pub fn options() -> Options {
    Options { ballast_bytes: 0, cache_bytes: 8 << 20, ..Options::default() }
}

/// What the writer is told beside its directory.
#[derive(Clone, Copy, Default)]
pub struct Orders {
    pub without_sync: bool,
    pub refuse_sync_file_range: bool,
    pub commit_reserve_bytes: u64,
}

/// The writer's life, if this process is one: commits from where the store stands, says each number once it is
/// acknowledged, and the error that ends it.
pub fn write_if_asked() {
    let Some(dir) = env::var_os(DIR) else { return };
    let orders = env::var(OPTIONS).unwrap();
    let options = Options {
        without_sync: orders.contains("without_sync"),
        refuse_sync_file_range: orders.contains("refuse"),
        commit_reserve_bytes: orders.rsplit(' ').next().unwrap().parse().unwrap(),
        ..options()
    };
    let (mut store, _) = longshore_store::SledStore::open(Path::new(&dir), &options).unwrap();
    for n in count(&store) + 1.. {
        if let Err(error) = store.commit(Epoch::default(), &batch(n)) {
            println!("\nfailed {error}");
            return;
        }
        println!("\nack {n}");
    }
}

/// A running writer.
pub struct Writer {
    pub child: Child,
    stdout: ChildStdout,
    said: String,
}

impl Writer {
    /// Starts this test binary with its test `name`, which must call [`write_if_asked`].
    pub fn start(name: &str, dir: &Path, orders: Orders) -> Self {
        Self::start_as(Command::new(env::current_exe().unwrap()), name, dir, orders)
    }

    /// As [`Writer::start`], with the binary as the last argument of `command` or as its program.
    pub fn start_as(mut command: Command, name: &str, dir: &Path, orders: Orders) -> Self {
        let mut words = String::new();
        if orders.without_sync {
            words.push_str("without_sync ");
        }
        if orders.refuse_sync_file_range {
            words.push_str("refuse ");
        }
        words.push_str(&orders.commit_reserve_bytes.to_string());
        command.args([name, "--exact", "--nocapture"]).env(DIR, dir).env(OPTIONS, words);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        Self { child, stdout, said: String::new() }
    }

    /// The last number it acknowledged so far.
    pub fn acked(&self) -> u64 {
        let whole = self.said.rfind('\n').map_or("", |end| &self.said[..end]);
        whole.rsplit('\n').find_map(|line| line.strip_prefix("ack ")?.parse().ok()).unwrap_or(0)
    }

    /// The error it ended with.
    pub fn failure(&self) -> Option<&str> {
        self.said.lines().find_map(|line| line.strip_prefix("failed "))
    }

    /// Waits until it has acknowledged number `n` or ended.
    pub fn wait_for(&mut self, n: u64) {
        while self.acked() < n && self.read() {}
    }

    /// Takes all it has said so far without waiting.
    pub fn drain(&mut self) {
        rustix::io::ioctl_fionbio(&self.stdout, true).unwrap();
        while self.read() {}
    }

    /// Ends it with SIGKILL and takes the rest of what it said.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        while self.read() {}
    }

    /// Waits until it ends by itself.
    pub fn wait(&mut self) {
        while self.read() {}
        self.child.wait().unwrap();
    }

    fn read(&mut self) -> bool {
        let mut block = [0; 4096];
        match self.stdout.read(&mut block) {
            Ok(0) => false,
            Ok(count) => {
                self.said.push_str(&String::from_utf8_lossy(&block[..count]));
                true
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Err(error) => panic!("{error}"),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A mounted file system, unmounted when dropped.
pub struct Mount(pub PathBuf);

impl Mount {
    /// Mounts with `mount ARGS… at`; what it said when it could not.
    pub fn new(arguments: &[&str], at: &Path) -> Result<Self, String> {
        std::fs::create_dir_all(at).unwrap();
        run(Command::new("mount").args(arguments).arg(at))?;
        Ok(Self(at.to_owned()))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(&self.0, rustix::mount::UnmountFlags::DETACH);
    }
}

/// Runs a command to its end; what it said when it failed or is not there.
pub fn run(command: &mut Command) -> Result<(), String> {
    let ended = command.output().map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if ended.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&ended.stderr).into_owned()) }
}
