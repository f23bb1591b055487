//! What hostile runs leave, and what becomes of it.

use std::{
    ffi::OsStr,
    fs,
    io::Write,
    os::unix::{
        ffi::OsStrExt,
        fs::{PermissionsExt, symlink},
        net::UnixListener,
    },
    path::PathBuf,
};

use longshore_proto::bounds::{OUTPUTS, SMALL_BLOB_BYTES};
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, openat};

use super::{
    collection::{DEPTH, INLINE_BYTES},
    *,
};
use crate::work::{Content, Output};

mod linked;

const LIMITS: Limits = Limits { file_bytes: 1 << 30, total_bytes: 1 << 40, files: 10_000 };

/// A sandbox's output directory with one run's tray in it.
struct World {
    base: tempfile::TempDir,
    outputs: OutputDirs,
    tray: Option<Tray>,
}

impl World {
    fn new() -> Self {
        let base = tempfile::tempdir().unwrap();
        fs::create_dir_all(base.path().join("out")).unwrap();
        let yard = Arc::new(Yard::open(&base.path().join("yard")).unwrap());
        let inside = base.path().join("out");
        let mut outputs = OutputDirs::open(&inside, inside.to_str().unwrap(), yard, true).unwrap();
        let (tray, _) = outputs.lay(false, None).unwrap();
        Self { base, outputs, tray: Some(tray) }
    }

    /// Begins another run, and answers where its standard output goes.
    fn lay(&mut self) -> fs::File {
        let (tray, stdout) = self.outputs.lay(true, None).unwrap();
        self.tray = Some(tray);
        stdout.unwrap().into()
    }

    /// The run's directory.
    fn run(&self) -> PathBuf {
        self.tray.as_ref().unwrap().path().into()
    }

    fn put(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let path = self.run().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn collect(&mut self) -> Vec<Output> {
        self.collect_with(Links::Follow).outputs
    }

    fn collect_with(&mut self, links: Links) -> Collected {
        self.outputs.collect(self.tray.as_mut().unwrap(), "texts/a.txt", (LIMITS, links)).unwrap()
    }

    fn refusal(&mut self) -> String {
        self.refusal_within((LIMITS, Links::Follow))
    }

    fn refusal_within(&mut self, allowed: (Limits, Links)) -> String {
        match self.outputs.collect(self.tray.as_mut().unwrap(), "a.txt", allowed) {
            Err(CollectError::Refused(what)) => what,
            other => panic!("not refused: {other:?}"),
        }
    }

    fn clear(&mut self) {
        self.outputs.clear(self.tray.take().unwrap()).unwrap();
    }

    /// Clears after a run whose directory must be gone at once, whatever is in it.
    fn discard(&mut self) {
        let run = self.run();
        self.clear();
        assert!(!run.exists());
    }
}

fn bytes(output: &Output) -> Vec<u8> {
    match &output.content {
        Content::Inline(bytes) => bytes.to_vec(),
        Content::File(owned) => fs::read(owned.path()).unwrap(),
    }
}

#[test]
fn every_file_is_an_output_beside_its_item() {
    let mut world = World::new();
    world.put("b.txt", "two");
    world.put("a/deep/c", "");
    world.put("a/x", "one");
    let outputs = world.collect();
    let paths: Vec<_> = outputs.iter().map(|output| output.path.as_str()).collect();
    assert_eq!(paths, ["texts/a/deep/c", "texts/a/x", "texts/b.txt"]);
    assert_eq!([bytes(&outputs[0]), bytes(&outputs[1]), bytes(&outputs[2])], [&b""[..], b"one", b"two"]);
    assert_eq!(outputs[2].digest, Some(blake3::hash(b"two")));
    assert_eq!(outputs[2].size, 3);
    let run = world.run();
    world.clear();
    assert_eq!(fs::read_dir(&run).unwrap().count(), 0);
    world.lay();
    assert_eq!(world.run(), run, "it is used again");
}

#[test]
fn standard_output_is_an_output_like_any_other() {
    let mut world = World::new();
    for written in [&b"first, and long"[..], b"", b"third"] {
        world.lay().write_all(written).unwrap();
        world.put("b/beside", "x");
        let outputs = world.collect();
        let paths: Vec<_> = outputs.iter().map(|output| output.path.as_str()).collect();
        assert_eq!(paths, ["texts/a.txt", "texts/b/beside"]);
        assert_eq!((bytes(&outputs[0]), outputs[0].digest), (written.to_vec(), Some(blake3::hash(written))));
        world.clear();
    }
}

#[test]
fn a_large_standard_output_is_not_copied_and_the_next_has_another_file() {
    use std::os::unix::fs::MetadataExt;
    let mut world = World::new();
    let content = vec![7; SMALL_BLOB_BYTES + 1];
    let mut stdout = world.lay();
    stdout.write_all(&content).unwrap();
    let inode = stdout.metadata().unwrap().ino();
    let outputs = world.collect();
    let Content::File(owned) = &outputs[0].content else { panic!("inline") };
    let metadata = fs::metadata(owned.path()).unwrap();
    assert_eq!((metadata.ino(), metadata.mode() & 0o7777), (inode, 0o600));
    assert_eq!(bytes(&outputs[0]), content);
    world.clear();
    assert_ne!(world.lay().metadata().unwrap().ino(), inode);
}

#[test]
fn what_a_run_did_to_its_standard_output_is_not_there_for_the_next() {
    use rustix::fs::{FallocateFlags, OFlags, fallocate, fcntl_getfl, fcntl_setfl};
    let mut world = World::new();
    let mut stdout = world.lay();
    stdout.write_all(b"abc").unwrap();
    fcntl_setfl(&stdout, OFlags::NONBLOCK | OFlags::APPEND).unwrap();
    world.collect();
    world.clear();
    let stdout = world.lay();
    assert!(!fcntl_getfl(&stdout).unwrap().intersects(OFlags::NONBLOCK | OFlags::APPEND));
    assert_eq!(stdout.metadata().unwrap().len(), 0);
    // Room without bytes: not every file system has it.
    if fallocate(&stdout, FallocateFlags::KEEP_SIZE, 0, 1 << 20).is_ok() {
        world.collect();
        world.clear();
        assert_eq!(std::os::unix::fs::MetadataExt::blocks(&world.lay().metadata().unwrap()), 0);
    }
}

#[test]
fn a_file_of_the_name_of_standard_output_is_refused() {
    let mut world = World::new();
    world.lay();
    world.put("a.txt", "x");
    assert_eq!(world.refusal(), "\"a.txt\" is both a file and where standard output goes");
    world.discard();
}

#[test]
fn a_directory_that_is_not_as_it_was_made_is_not_used_again() {
    let mut world = World::new();
    let first = world.run();
    fs::set_permissions(&first, fs::Permissions::from_mode(0o755)).unwrap();
    world.collect();
    world.discard();
    world.lay();
    let second = world.run();
    fs::rename(&second, world.base.path().join("away")).unwrap();
    fs::create_dir(&second).unwrap();
    world.collect();
    world.discard();
    world.lay();
    assert!(![first, second].contains(&world.run()));
}

#[test]
fn directories_of_runs_cannot_be_guessed() {
    let mut world = World::new();
    let (first, _) = world.outputs.lay(false, None).unwrap();
    let name = |path: &str| path.rsplit('/').next().unwrap().to_owned();
    assert!(name(first.path()).len() >= 32);
    assert_ne!(name(first.path()), name(world.tray.as_ref().unwrap().path()));
}

#[test]
fn large_files_are_moved_not_copied_and_removed_when_dropped() {
    use std::os::unix::fs::MetadataExt;
    let mut world = World::new();
    let content = vec![7; SMALL_BLOB_BYTES + 1];
    world.put("large", &content);
    fs::set_permissions(world.run().join("large"), fs::Permissions::from_mode(0o6777)).unwrap();
    let inode = fs::metadata(world.run().join("large")).unwrap().ino();
    let outputs = world.collect();
    let Content::File(owned) = &outputs[0].content else { panic!("inline") };
    let path = owned.path().to_path_buf();
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!((metadata.ino(), metadata.mode() & 0o7777), (inode, 0o600));
    assert_eq!(bytes(&outputs[0]), content);
    drop(outputs);
    assert!(!path.exists());
}

#[test]
fn what_its_owner_may_execute_is_a_program() {
    let mut world = World::new();
    world.lay();
    world.put("small", "#!/bin/sh");
    world.put("large", vec![7; SMALL_BLOB_BYTES + 1]);
    world.put("plain", "");
    for (name, mode) in [("small", 0o755), ("large", 0o100), ("plain", 0o644)] {
        fs::set_permissions(world.run().join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    let outputs = world.collect();
    let told: Vec<_> = outputs.iter().map(|output| (output.path.as_str(), output.executable)).collect();
    // Standard output never is one.
    let expected = [("texts/a.txt", false), ("texts/large", true), ("texts/plain", false), ("texts/small", true)];
    assert_eq!(told, expected);
}

#[test]
fn very_many_small_files_do_not_stay_in_memory() {
    let mut world = World::new();
    for number in 0..60 {
        world.put(&format!("{number:02}"), vec![number; SMALL_BLOB_BYTES]);
    }
    let outputs = world.collect();
    let inline = outputs.iter().filter(|output| matches!(output.content, Content::Inline(_))).count();
    assert_eq!(inline, INLINE_BYTES / SMALL_BLOB_BYTES);
    assert!(outputs.iter().zip(0u8..).all(|(output, number)| bytes(output) == vec![number; SMALL_BLOB_BYTES]));
}

#[test]
fn empty_directories_are_told_and_others_not() {
    let mut world = World::new();
    for dir in ["b/c", "d", "e"] {
        fs::create_dir_all(world.run().join(dir)).unwrap();
    }
    world.put("e/f", "");
    let collected = world.collect_with(Links::Follow);
    assert_eq!(collected.outputs.len(), 1);
    // In whatever order the file system has them.
    let notes = collected.notes;
    assert!(notes.starts_with("longshore: 2 empty directories are not kept: "), "{notes}");
    assert!(notes.contains("\"b/c\"") && notes.contains("\"d\"") && notes.lines().count() == 1, "{notes}");
    world.clear();
    world.lay();
    assert_eq!(world.collect_with(Links::Follow).notes, "");
}

#[test]
fn the_runs_own_directory_may_have_become_a_symlink() {
    let mut world = World::new();
    fs::remove_dir(world.run()).unwrap();
    symlink("/etc", world.run()).unwrap();
    assert_eq!(world.refusal(), "the run removed its output directory");
    world.discard();
    assert!(fs::exists("/etc/passwd").unwrap());
}

#[test]
fn the_runs_own_directory_may_be_gone() {
    let mut world = World::new();
    fs::remove_dir(world.run()).unwrap();
    assert_eq!(world.refusal(), "the run removed its output directory");
    world.discard();
}

#[test]
fn a_fifo_does_not_make_us_wait() {
    let mut world = World::new();
    make_node(&world, "pipe", FileType::Fifo);
    assert_eq!(world.refusal(), "\"pipe\" is a FIFO");
    world.discard();
}

#[test]
fn a_socket_is_refused() {
    let mut world = World::new();
    let _listener = UnixListener::bind(world.run().join("s")).unwrap();
    assert_eq!(world.refusal(), "\"s\" is a socket");
    world.discard();
}

#[test]
fn a_device_is_refused_unopened() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not root: devices cannot be made here, so none is tried");
        return;
    }
    let mut world = World::new();
    make_node(&world, "null", FileType::CharacterDevice);
    assert_eq!(world.refusal(), "\"null\" is a device");
    world.discard();
}

fn make_node(world: &World, name: &str, kind: FileType) {
    let device = rustix::fs::makedev(1, 3);
    mknodat(CWD, world.run().join(name), kind, Mode::from_raw_mode(0o666), device).unwrap();
}

#[test]
fn thirty_two_directories_deep_is_deep_enough() {
    let mut world = World::new();
    world.put(&format!("{}x", "d/".repeat(DEPTH)), "deep");
    assert_eq!(world.collect().len(), 1);
    let mut world = World::new();
    world.put(&format!("{}x", "d/".repeat(DEPTH + 1)), "too deep");
    assert!(world.refusal().contains("more than 32 directories deep"));
    world.discard();
}

#[test]
fn a_chain_of_ten_thousand_directories_is_refused_and_removed() {
    let mut world = World::new();
    let mut dir = open_directory(&world.run()).unwrap();
    for _ in 0..10_000 {
        rustix::fs::mkdirat(&dir, "d", Mode::from_raw_mode(0o777)).unwrap();
        dir = openat(&dir, "d", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
    drop(dir);
    assert!(world.refusal().contains("directories deep"));
    world.discard();
    wait_until_swept(&world);
}

/// The sweeper works on its own: only its last word tells that it is done.
fn wait_until_swept(world: &World) {
    let yard = world.base.path().join("yard");
    let life = fs::read_dir(yard).unwrap().next().unwrap().unwrap().path();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while fs::read_dir(life.join("trash")).unwrap().count() > 0 {
        assert!(std::time::Instant::now() < until, "refuse is still there");
        std::thread::yield_now();
    }
}

#[test]
fn ten_thousand_files_are_enough() {
    let mut world = World::new();
    for number in 0..OUTPUTS {
        fs::write(world.run().join(number.to_string()), "").unwrap();
    }
    assert_eq!(world.collect().len(), OUTPUTS);
    for number in 0..=OUTPUTS {
        fs::write(world.run().join(number.to_string()), "").unwrap();
    }
    assert_eq!(world.refusal(), "there are more than 10000 files, the most there can be");
    world.discard();
    let mut world = World::new();
    for number in 0..=OUTPUTS {
        fs::create_dir(world.run().join(number.to_string())).unwrap();
    }
    assert_eq!(world.refusal(), "there are more than 10000 directories");
    world.discard();
    wait_until_swept(&world);
}

#[test]
fn names_with_control_characters_are_refused_and_shown_escaped() {
    for (name, shown) in [
        ("a\nb", "\"a\\nb\""),
        ("\u{1b}[2J", "\"\\u{1b}[2J\""),
        ("\u{85}", "\"\\u{85}\""),
        ("del\u{7f}", "\"del\\u{7f}\""),
    ] {
        let mut world = World::new();
        world.put(name, "");
        assert_eq!(world.refusal(), format!("the name {shown} has control characters"));
    }
}

#[test]
fn a_name_that_is_not_utf8_is_refused() {
    let mut world = World::new();
    fs::write(world.run().join(OsStr::from_bytes(b"a\xffb")), "").unwrap();
    assert_eq!(world.refusal(), "the name \"a\\xffb\" is not UTF-8");
}

#[test]
fn odd_but_harmless_names_stay_as_they_are() {
    let mut world = World::new();
    let long = "n".repeat(255);
    let mut names = vec!["-rf", "...", " ", "CON", "é", "e\u{301}", "A", "a", "{in}", &long];
    for name in &names {
        world.put(name, "");
    }
    names.sort_unstable();
    let outputs = world.outputs.collect(world.tray.as_mut().unwrap(), "x", (LIMITS, Links::Follow)).unwrap().outputs;
    assert_eq!(outputs.iter().map(|output| output.path.as_str()).collect::<Vec<_>>(), names);
}

#[test]
fn a_path_longer_than_a_kibibyte_is_refused() {
    let mut world = World::new();
    let component = format!("{}/", "n".repeat(204));
    world.put(&format!("{}x", component.repeat(4)), "");
    assert_eq!(world.collect().len(), 1);
    let mut world = World::new();
    world.put(&format!("{}x", component.repeat(5)), "");
    assert!(world.refusal().contains("longer than 1024 bytes"));
    let mut world = World::new();
    world.put(&"n".repeat(255), "");
    let item = format!("{}item", component.repeat(4));
    let outputs = world.outputs.collect(world.tray.as_mut().unwrap(), &item, (LIMITS, Links::Follow));
    assert!(outputs.is_err(), "the item's directory counts");
}

#[test]
fn a_huge_sparse_file_is_refused_unread() {
    let mut world = World::new();
    fs::File::create(world.run().join("huge")).unwrap().set_len(1 << 40).unwrap();
    assert_eq!(
        world.refusal(),
        "\"huge\" is larger than 1 GiB, the bound of one output; `max_output` in the spec or --max-output raises it"
    );
    world.discard();
}

#[test]
fn all_outputs_together_have_a_bound() {
    let mut world = World::new();
    world.put("a", [0; 600]);
    world.put("b", [0; 600]);
    let limits = Limits { file_bytes: 1_000, total_bytes: 1_024, files: 10_000 };
    let told = world.refusal_within((limits, Links::Follow));
    assert!(told.starts_with("its outputs are larger than 1 KiB together; `max_total_output`"), "{told}");
    let mut world = World::new();
    world.put("a", "");
    world.put("b", "");
    let told = world.refusal_within((Limits { files: 1, ..LIMITS }, Links::Follow));
    assert!(told.starts_with("there are more than 1 files; `max_output_files`"), "{told}");
}

#[test]
fn an_unreadable_file_is_read_by_root_and_refused_otherwise() {
    let mut world = World::new();
    world.put("x", "secret");
    fs::set_permissions(world.run().join("x"), fs::Permissions::from_mode(0o000)).unwrap();
    if rustix::process::geteuid().is_root() {
        assert_eq!(bytes(&world.collect()[0]), b"secret");
    } else {
        assert!(world.refusal().starts_with("\"x\" cannot be read"));
    }
}

#[test]
fn a_directory_without_permissions_is_removed_all_the_same() {
    let mut world = World::new();
    world.put("locked/inner/x", "");
    fs::set_permissions(world.run().join("locked/inner"), fs::Permissions::from_mode(0o000)).unwrap();
    world.discard();
    wait_until_swept(&world);
}

#[test]
fn what_an_earlier_life_left_is_removed() {
    let base = tempfile::tempdir().unwrap();
    fs::create_dir_all(base.path().join("earlier/slots/1/out")).unwrap();
    fs::write(base.path().join("earlier/slots/1/out/x"), "").unwrap();
    let _yard = Yard::open(base.path()).unwrap();
    assert!(!base.path().join("earlier").exists());
}
