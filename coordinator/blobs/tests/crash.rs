//! What was synced survives kill -9 and power cuts.
//!
//! A power cut is simulated as a copy, made at some moment, of the file that an ext4 file system lives in. Set
//! `LONGSHORE_POWER_CUTS` for more of them, `LONGSHORE_KILLS` for more kills.
#![allow(clippy::unwrap_used)]

mod workload;

use std::{env, fs, path::Path, process::Command};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use workload::{Mount, Writer, check, held, open, open_kept, run, write_if_asked};

#[test]
fn writer_process() {
    write_if_asked();
}

#[test]
fn killed_writers_lose_no_synced_blob() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("blobs");
    let mut acked = 0;
    let cycles = env::var("LONGSHORE_KILLS").map_or(10, |kills| kills.parse().unwrap());
    for cycle in 0..cycles {
        let mut writer = Writer::start(&path, true);
        if cycle % 4 != 3 {
            writer.wait_for(acked + 1 + cycle * 17 % 90);
        }
        writer.kill();
        acked = acked.max(writer.acked());
        let blobs = open_kept(&path).unwrap_or_else(|lost| panic!("cycle {cycle}: {lost}"));
        check(&blobs, acked).unwrap_or_else(|lost| panic!("cycle {cycle}: {lost}"));
        assert!(held(&blobs) >= acked);
        assert_eq!(fs::read_dir(path.join("temp")).unwrap().count(), 0);
    }
    assert!(acked > 100);
}

fn cuts(default: u64) -> u64 {
    env::var("LONGSHORE_POWER_CUTS").map_or(default, |cuts| cuts.parse().unwrap())
}

/// An empty ext4 file system in `dir/fresh`, mounted once to try; `false` (and a word on stderr) where that cannot be.
fn make_disk(dir: &Path) -> bool {
    let image = dir.join("fresh");
    fs::File::create(&image).unwrap().set_len(96 << 20).unwrap();
    let made =
        run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image)).and_then(|()| mount(&image, &dir.join("try")));
    made.inspect_err(|why| eprintln!("NOT TRIED: no file system can be mounted here: {why}")).is_ok()
}

fn mount(image: &Path, at: &Path) -> Result<Mount, String> {
    Mount::new(&["-o", "loop", image.to_str().unwrap()], at)
}

fn copy(from: &Path, to: &Path) {
    run(Command::new("cp").arg("--sparse=always").args([from, to])).unwrap();
}

/// How often a disk is copied on which the kernel still writes.
const COPIES: usize = 100;

/// A copy of the disk as it was at one moment. The kernel may go on writing, for instance a commit of its journal that has
/// begun, and a copy with some blocks of before and some of after is none that a power cut leaves behind. A copy that the
/// disk still equals from end to end is that of the moment between the two readings.
fn copy_of_a_moment(from: &Path, to: &Path) {
    let is_of_a_moment = |_| {
        copy(from, to);
        run(Command::new("cmp").arg("-s").args([from, to])).is_ok()
    };
    assert!((0..COPIES).any(is_of_a_moment), "the disk is written on without end");
}

fn cut(dir: &Path, synced: bool, n: u64) -> Result<u64, String> {
    let (image, after) = (dir.join("image"), dir.join("after"));
    copy(&dir.join("fresh"), &image);
    let disk = mount(&image, &dir.join("before")).unwrap();
    let mut writer = Writer::start(&disk.0.join("blobs"), synced);
    writer.wait_for(n);
    let pid = Pid::from_child(&writer.child);
    kill_process(pid, Signal::STOP).unwrap();
    waitpid(Some(pid), WaitOptions::UNTRACED).unwrap();
    writer.drain();
    copy_of_a_moment(&image, &after);
    let acked = writer.acked();
    writer.kill();
    drop(disk);
    let disk = mount(&after, &dir.join("after-mount")).unwrap();
    let path = disk.0.join("blobs");
    let blobs = if synced { open_kept(&path).map_err(|error| error.to_string())? } else { open(&path) };
    check(&blobs, acked).map(|()| acked)
}

#[test]
fn power_cuts_lose_no_synced_blob() {
    let dir = tempfile::tempdir().unwrap();
    if !make_disk(dir.path()) {
        return;
    }
    for number in 0..cuts(5) {
        let n = 1 + number * 61 % 250;
        let acked = cut(dir.path(), true, n).unwrap_or_else(|lost| panic!("cut {number} after {n}: {lost}"));
        eprintln!("cut {number} at {acked} blobs: nothing lost");
    }
}

/// Without syncs the same rig must see losses: otherwise it proves nothing.
#[test]
fn the_rig_sees_losses_without_syncs() {
    let dir = tempfile::tempdir().unwrap();
    if !make_disk(dir.path()) {
        return;
    }
    let lost = (0..20).find_map(|number| cut(dir.path(), false, 5 + number * 4 % 19).err());
    eprintln!("an unsynced cut: {lost:?}");
    assert!(lost.is_some());
}
