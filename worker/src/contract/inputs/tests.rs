//! What a run finds in its input directory.

use std::{fs, os::unix::fs::MetadataExt, path::PathBuf};

use super::*;
use crate::cache::{Cache, FetchBlobs, Pieces};

fn named(path: &str, bytes: &'static [u8]) -> NamedBlob {
    NamedBlob {
        path: path.into(),
        digest: blake3::hash(bytes).as_bytes().to_vec().into(),
        size: bytes.len() as u64,
        executable: false,
        inline: Some(bytes.into()),
        origin: String::new(),
    }
}

const LAID: Parts = Parts { laid: true, joined: false, manifest: true };
const BOTH: Parts = Parts { joined: true, ..LAID };
const STREAM: Parts = Parts { laid: false, joined: true, manifest: false };

struct World {
    base: tempfile::TempDir,
    inputs: InputDirs,
}

impl World {
    fn new(read_only: bool) -> Self {
        let base = tempfile::tempdir().unwrap();
        let inputs = base.path().join("in");
        fs::create_dir(&inputs).unwrap();
        let inputs = InputDirs::open(&inputs, "/in", read_only, true).unwrap();
        Self { base, inputs }
    }

    fn stage(&mut self, wanted: &Wanted<'_>) -> Staged {
        self.inputs.stage_small(wanted).unwrap().unwrap()
    }

    /// What a run reads as its standard input.
    fn stdin(&self, staged: &Staged) -> Vec<u8> {
        fs::read(self.base.path().join("in").join(&staged.stdin)).unwrap()
    }

    /// The file outside that the inside sees as `{in}`.
    fn input(&self, staged: &Staged) -> PathBuf {
        self.outside(staged.input.as_ref().unwrap())
    }

    /// The file outside that the inside sees at this path.
    fn outside(&self, inside: &str) -> PathBuf {
        self.base.path().join(inside.trim_start_matches('/'))
    }

    /// A large blob in a cache on the same file system.
    async fn cached(&self, bytes: Vec<u8>) -> Blob {
        let (digest, size) = (blake3::hash(&bytes), bytes.len() as u64);
        let fetcher = Arc::new(move |_, _, _| -> futures_util::future::BoxFuture<'static, _> {
            let piece = bytes::Bytes::from(bytes.clone());
            Box::pin(async { Ok(Box::pin(futures_util::stream::iter([Ok(piece)])) as Pieces) })
        });
        let cache = Cache::open(&self.base.path().join("cache"), 1 << 30, fetcher).unwrap();
        cache.fetch(&"".into(), digest, size).await.unwrap()
    }
}

fn one<'a>(inputs: &'a [NamedBlob], name: &'a str) -> Wanted<'a> {
    Wanted { inputs, name, gather: false, missing: None, parts: LAID }
}

#[test]
fn one_input_lies_under_its_own_name_readable_by_all() {
    let mut world = World::new(true);
    let inputs = [named("a/b/photo.jpg", b"pixels")];
    let staged = world.stage(&one(&inputs, "photo.jpg"));
    assert_eq!(staged.input.as_deref(), Some("/in/0/photo.jpg"));
    assert_eq!(world.stdin(&staged), b"pixels");
    let file = world.input(&staged);
    assert_eq!(fs::read(&file).unwrap(), b"pixels");
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o444);
    world.inputs.clear(staged);
    let inputs = [named("x", b"p")];
    let next = world.stage(&one(&inputs, "x"));
    assert_eq!(fs::read(world.input(&next)).unwrap(), b"p", "nothing of the one before");
    assert!(!file.exists());
    world.inputs.clear(next);
    let parts = world.stage(&Wanted { inputs: &inputs, name: "x", gather: true, missing: None, parts: LAID });
    let dir = world.input(&parts).parent().unwrap().to_path_buf();
    assert_eq!(fs::read_dir(dir).unwrap().count(), 2, "the parts and the manifest, nothing else");
}

#[test]
fn a_program_can_be_executed_and_what_follows_it_cannot() {
    let mut world = World::new(true);
    let said = |path: &PathBuf| std::process::Command::new(path).output().map(|output| output.stdout);
    let program = [NamedBlob { executable: true, ..named("tool", b"#!/bin/sh\necho ran") }];
    let plain = [named("tool", b"#!/bin/sh\necho ran")];
    for inputs in [&plain, &program, &plain, &program] {
        let staged = world.stage(&one(inputs, "tool"));
        let file = world.input(&staged);
        let mode = fs::metadata(&file).unwrap().mode() & 0o7777;
        match inputs[0].executable {
            true => assert_eq!((mode, said(&file).unwrap()), (0o555, b"ran\n".to_vec())),
            false => assert_eq!((mode, said(&file).is_err()), (0o444, true)),
        }
        world.inputs.clear(staged);
        assert!(inputs[0].executable != file.exists(), "a program's file is not used again");
    }
    let parts = [program[0].clone(), plain[0].clone()];
    let staged = world.stage(&Wanted { inputs: &parts, name: "x", gather: true, missing: None, parts: BOTH });
    let dir = world.input(&staged);
    let mode = |name: &str| fs::metadata(dir.join(name)).unwrap().mode() & 0o7777;
    assert_eq!((mode("000000-tool"), mode("000001-tool"), mode("../manifest.json")), (0o555, 0o444, 0o444));
}

#[test]
fn directories_are_used_again_but_never_shared() {
    let mut world = World::new(true);
    let inputs = [named("x", b"1")];
    let first = world.stage(&one(&inputs, "x"));
    let second = world.stage(&one(&inputs, "x"));
    assert_ne!(first.input, second.input);
    let again = first.input.clone();
    world.inputs.clear(first);
    assert_eq!(world.stage(&one(&inputs, "x")).input, again);
}

#[test]
fn directories_of_runs_side_by_side_are_each_ones_own() {
    let mut world = World::new(true);
    let mut other = InputDirs::open(&world.base.path().join("in"), "/in", true, true).unwrap();
    let inputs = [named("x", b"1")];
    let staged = [world.stage(&one(&inputs, "x")), other.stage_small(&one(&inputs, "x")).unwrap().unwrap()];
    assert_eq!(staged.map(|staged| staged.input.unwrap()), ["/in/0/x", "/in/1/x"]);
}

#[test]
fn parts_lie_in_order_with_nothing_beside_them() {
    let mut world = World::new(true);
    let inputs = [named("z/a.txt", b"1"), named("a.txt", b"22"), named("q/a.txt", b"")];
    let staged = world.stage(&Wanted { inputs: &inputs, name: "total", gather: true, missing: None, parts: BOTH });
    assert_eq!(staged.input.as_deref(), Some("/in/0/parts"));
    assert_eq!(staged.argument_bytes, 3 * ("/in/0/parts/000000-a.txt".len() as u64 + 9));
    let dir = world.input(&staged);
    let mut names: Vec<_> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["000000-a.txt", "000001-a.txt", "000002-a.txt"]);
    assert_eq!(fs::read(dir.join("000001-a.txt")).unwrap(), b"22");
    assert_eq!(world.stdin(&staged), b"122", "in order");
    let manifest = fs::read(world.outside(staged.manifest.as_ref().unwrap())).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["parts"][1]["path"], "a.txt");
    assert_eq!(manifest["parts"][1]["name"], "000001-a.txt");
    assert_eq!(manifest["parts"][1]["index"], 1);
    assert_eq!(manifest["parts"][1]["size"], 2);
    assert_eq!(manifest["parts"][1]["digest"], blake3::hash(b"22").to_hex().as_str());
    let dir = dir.parent().unwrap().to_path_buf();
    world.inputs.clear(staged);
    assert_eq!(fs::read_dir(dir).unwrap().count(), 0);
}

#[test]
fn parts_that_come_as_a_stream_lie_in_no_directory() {
    let mut world = World::new(true);
    let inputs = [named("z/a.txt", b"1"), named("a.txt", b"22")];
    let wanted = Wanted { inputs: &inputs, name: "total", gather: true, missing: None, parts: STREAM };
    let staged = world.stage(&wanted);
    assert_eq!((&staged.input, &staged.manifest, staged.argument_bytes), (&None, &None, 0));
    assert_eq!(world.stdin(&staged), b"122");
    let dir = world.base.path().join("in/0");
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
    world.inputs.clear(staged);
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
    assert_eq!(world.inputs.argument_bytes(&wanted), 0);
    let laid = Wanted { parts: LAID, ..wanted };
    let staged = world.stage(&laid);
    assert!(world.inputs.argument_bytes(&laid) >= staged.argument_bytes, "it is not less than what it will be");
}

#[test]
fn a_gather_of_nothing_is_an_empty_directory() {
    let mut world = World::new(true);
    let staged = world.stage(&Wanted { inputs: &[], name: "total", gather: true, missing: None, parts: BOTH });
    assert_eq!(fs::read_dir(world.input(&staged)).unwrap().count(), 0);
    assert_eq!(world.stdin(&staged), b"");
    assert_eq!(fs::read(world.outside(staged.manifest.as_ref().unwrap())).unwrap(), br#"{"parts":[]}"#);
}

#[test]
fn names_of_parts_sort_in_order_and_fit_a_file_system() {
    let long = format!("{}é", "x".repeat(254));
    let parts = [named(&long, b""), named("..", b"")];
    let names = part_names(&parts);
    assert_eq!(names[0], format!("000000-{}", "x".repeat(248)));
    assert_eq!(names[1], "000001-input");
}

#[test]
fn what_is_no_name_becomes_one() {
    assert_eq!(base_name("a/b.txt"), "b.txt");
    for none in ["", "a/", "..", "a/.."] {
        assert_eq!(base_name(none), "input");
    }
}

#[tokio::test]
async fn a_large_program_is_a_copy_and_the_cached_file_is_none() {
    let mut world = World::new(true);
    let blob = world.cached(vec![9; 100_000]).await;
    let Blob::File(cached) = &blob else { panic!("not a file") };
    let inputs = [NamedBlob { path: "big".into(), size: 100_000, executable: true, ..NamedBlob::default() }];
    let staged = world.inputs.stager().unwrap()(&one(&inputs, "big"), std::slice::from_ref(&blob)).unwrap();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().mode() & 0o7777;
    let file = world.input(&staged);
    assert_eq!((mode(&file), mode(cached.path())), (0o555, 0o444));
    assert_eq!(fs::read(&file).unwrap(), vec![9; 100_000]);
}

#[tokio::test]
async fn a_cached_file_is_linked_where_the_inside_cannot_write_and_copied_where_it_can() {
    for read_only in [true, false] {
        let mut world = World::new(read_only);
        let blob = world.cached(vec![9; 100_000]).await;
        let Blob::File(cached) = &blob else { panic!("not a file") };
        let inputs = [NamedBlob { path: "big".into(), size: 100_000, ..NamedBlob::default() }];
        let wanted = one(&inputs, "big");
        assert!(world.inputs.stage_small(&wanted).is_none(), "nothing travelled along");
        let staged = world.inputs.stager().unwrap()(&wanted, std::slice::from_ref(&blob)).unwrap();
        let file = fs::metadata(world.input(&staged)).unwrap();
        let same = file.ino() == fs::metadata(cached.path()).unwrap().ino();
        assert_eq!((same, file.len(), file.mode() & 0o7777), (read_only, 100_000, 0o444));
        world.inputs.clear(staged);
        assert!(cached.path().exists());
    }
}
