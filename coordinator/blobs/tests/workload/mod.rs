//! A writer of blobs in a process of its own (this test binary again), and the check that every synced blob is there.
#![allow(dead_code, clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    env,
    fs::File,
    io::{ErrorKind, Read, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

use longshore_blobs::{BlobStore, GetError, Hash, Holding, LocalBlobs, OpenError};

const DIR: &str = "LONGSHORE_TEST_BLOBS_DIR";
const UNSYNCED: &str = "LONGSHORE_TEST_BLOBS_UNSYNCED";

/// Opens a directory of which nothing is known.
pub fn open(dir: impl AsRef<Path>) -> LocalBlobs {
    LocalBlobs::open(dir, &[], false).unwrap().blobs
}

/// Opens a directory of which is known what the writer has kept; the error is of a loss that was none.
pub fn open_kept(dir: &Path) -> Result<LocalBlobs, OpenError> {
    let opened = LocalBlobs::open(dir, &kept(dir), false)?;
    keep(dir, &opened.blobs.checkpoint().unwrap());
    Ok(opened.blobs)
}

/// Where the writer keeps what its checkpoints answer, as whoever refers to blobs does: a line each, the later counts.
fn holdings_file(dir: &Path) -> PathBuf {
    dir.with_extension("holdings")
}

fn keep(dir: &Path, holdings: &[Holding]) {
    let lines: String = holdings
        .iter()
        .map(|holding| match holding {
            Holding::Pack { number, bytes, damaged } => format!("pack {number} {bytes} {damaged}\n"),
            Holding::File { digest, size } => format!("file {digest} {size} 0\n"),
        })
        .collect();
    let mut file = File::options().append(true).create(true).open(holdings_file(dir)).unwrap();
    file.write_all(lines.as_bytes()).unwrap();
    file.sync_all().unwrap();
    File::open(dir.parent().unwrap()).unwrap().sync_all().unwrap();
}

fn kept(dir: &Path) -> Vec<Holding> {
    let text = std::fs::read_to_string(holdings_file(dir)).unwrap_or_default();
    let mut holdings = BTreeMap::new();
    // What is behind the last line end was not kept.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    for line in whole.lines() {
        let [kind, name, bytes, damaged] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line:?}") };
        let (bytes, damaged) = (bytes.parse().unwrap(), damaged.parse().unwrap());
        let holding = match kind {
            "pack" => Holding::Pack { number: name.parse().unwrap(), bytes, damaged },
            _ => Holding::File { digest: Hash::from_hex(name).unwrap(), size: bytes },
        };
        holdings.insert((kind.to_owned(), name.to_owned()), holding);
    }
    holdings.into_values().collect()
}

/// The `n`th blob; now and then a large one.
pub fn content(n: u64) -> Vec<u8> {
    let bytes = if n.is_multiple_of(25) { 70_000 + n * 31 % 100_000 } else { n * 613 % 9000 };
    let mut content = vec![0; bytes as usize + 8];
    blake3::Hasher::new().update(&n.to_be_bytes()).finalize_xof().fill(&mut content);
    content
}

pub fn digest(n: u64) -> Hash {
    blake3::hash(&content(n))
}

/// How many blobs there are in a row.
pub fn held(blobs: &LocalBlobs) -> u64 {
    (1..).take_while(|&n| blobs.contains(&digest(n))).last().unwrap_or(0)
}

/// Whether all blobs up to `acked` are whole, and those after it whole or reported.
pub fn check(blobs: &LocalBlobs, acked: u64) -> Result<(), String> {
    for n in 1..=acked + 60 {
        match blobs.get(&digest(n)) {
            Ok(data) if data == content(n) => {}
            Ok(_) => return Err(format!("blob {n} has wrong bytes")),
            Err(GetError::NotFound { .. } | GetError::Damaged { .. }) if n > acked => {}
            Err(error) => return Err(format!("{acked} were synced, but of {n}: {error}")),
        }
    }
    Ok(())
}

/// The writer's life, if this process is one: puts blobs from where the directory stands, syncs every few, and says how
/// far it has synced.
pub fn write_if_asked() {
    let Some(dir) = env::var_os(DIR) else { return };
    let synced = env::var_os(UNSYNCED).is_none();
    let dir = PathBuf::from(dir);
    let blobs = if synced { open_kept(&dir).unwrap() } else { open(&dir) };
    for n in held(&blobs) + 1.. {
        let content = content(n);
        if content.len() > longshore_blobs::MAX_SMALL_BYTES {
            let mut writer = blobs.create().unwrap();
            content.chunks(30_000).for_each(|chunk| writer.write(chunk).unwrap());
            writer.finish(Some(digest(n))).unwrap();
        } else {
            blobs.append_small(&digest(n), &content).unwrap();
        }
        if n % 5 == 0 {
            if synced {
                keep(&dir, &blobs.checkpoint().unwrap());
            }
            println!("\nsynced {n}");
        }
    }
}

/// A running writer.
pub struct Writer {
    pub child: Child,
    stdout: ChildStdout,
    said: String,
}

impl Writer {
    /// Starts this test binary with its test `writer_process`, which must call [`write_if_asked`].
    pub fn start(dir: &Path, synced: bool) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["writer_process", "--exact", "--nocapture"]).env(DIR, dir);
        if !synced {
            command.env(UNSYNCED, "1");
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        Self { child, stdout, said: String::new() }
    }

    /// How far it has synced.
    pub fn acked(&self) -> u64 {
        let whole = self.said.rfind('\n').map_or("", |end| &self.said[..end]);
        whole.rsplit('\n').find_map(|line| line.strip_prefix("synced ")?.parse().ok()).unwrap_or(0)
    }

    /// Waits until it has synced up to `n`.
    pub fn wait_for(&mut self, n: u64) {
        while self.acked() < n {
            assert!(self.read(), "the writer ended by itself");
        }
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
