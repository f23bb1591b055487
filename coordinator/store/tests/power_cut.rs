//! Power cuts: what was acknowledged is still there when only what had reached the disk is.
//!
//! A writer works on an ext4 file system in a file; it is stopped at some moment, the file is copied as it is, and the copy is
//! mounted and opened. What was only in the kernel's memory for that file system is gone, as after a power cut (of a
//! drive without a volatile cache: the kind case). kill -9 cannot show this. Set `LONGSHORE_POWER_CUTS` for more cuts.
#![allow(clippy::unwrap_used)]

mod workload;

use std::{env, fs, path::Path, process::Command};

use longshore_store::SledStore;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use workload::{Mount, Orders, Writer, check, options, run, write_if_asked};

#[test]
fn writer_process() {
    write_if_asked();
}

fn cuts(default: u64) -> u64 {
    env::var("LONGSHORE_POWER_CUTS").map_or(default, |cuts| cuts.parse().unwrap())
}

/// An empty ext4 file system in `dir/fresh`, tried once; why not, if it cannot be.
fn make_disk(dir: &Path) -> Result<(), String> {
    let image = dir.join("fresh");
    fs::File::create(&image).unwrap().set_len(96 << 20).unwrap();
    run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image))?;
    mount(&image, &dir.join("try")).map(drop)
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

/// Lets a writer run until it has acknowledged `n` commits, cuts the power, and looks at what is there.
fn cut(dir: &Path, orders: Orders, n: u64) -> Result<u64, String> {
    let (image, after) = (dir.join("image"), dir.join("after"));
    copy(&dir.join("fresh"), &image);
    let disk = mount(&image, &dir.join("before")).unwrap();
    let mut writer = Writer::start("writer_process", &disk.0.join("store"), orders);
    writer.wait_for(n);
    let pid = Pid::from_child(&writer.child);
    kill_process(pid, Signal::STOP).unwrap();
    waitpid(Some(pid), WaitOptions::UNTRACED).unwrap();
    writer.drain();
    copy_of_a_moment(&image, &after);
    let acked = writer.acked();
    writer.kill();
    drop(disk);
    assert!(acked >= n, "the writer ended by itself");
    let disk = mount(&after, &dir.join("after-mount")).unwrap();
    let (store, _) = SledStore::open(&disk.0.join("store"), &options()).map_err(|error| error.to_string())?;
    check(&store, acked)
}

#[test]
fn power_cuts_lose_no_acknowledged_commit() {
    let dir = tempfile::tempdir().unwrap();
    if let Err(why) = make_disk(dir.path()) {
        eprintln!("NOT TRIED: no file system can be mounted here: {why}");
        return;
    }
    let cuts = cuts(5);
    for number in 0..cuts {
        let orders = Orders { refuse_sync_file_range: number % 2 == 1, ..Orders::default() };
        let n = 1 + number * 61 % 300;
        let held = cut(dir.path(), orders, n).unwrap_or_else(|lost| panic!("cut {number} after {n}: {lost}"));
        eprintln!("cut {number} at {held} commits: nothing lost");
    }
}

/// Without the sync the same rig must see losses: otherwise it proves nothing.
#[test]
fn the_rig_sees_losses_when_commits_do_not_sync() {
    let dir = tempfile::tempdir().unwrap();
    if let Err(why) = make_disk(dir.path()) {
        eprintln!("NOT TRIED: no file system can be mounted here: {why}");
        return;
    }
    let all = env::var_os("LONGSHORE_POWER_CUTS").is_some();
    let (mut tried, mut lost) = (0, 0);
    for number in 0..cuts(30) {
        tried += 1;
        let orders = Orders { without_sync: true, ..Orders::default() };
        if let Err(loss) = cut(dir.path(), orders, 20 + number * 61 % 300) {
            lost += 1;
            eprintln!("unsynced cut {number}: {loss}");
            if !all {
                break;
            }
        }
    }
    eprintln!("{lost} of {tried} unsynced cuts lost acknowledged commits");
    assert!(lost > 0);
}
