//! The coordinator's disk runs full under a job: who only looks is answered, and with room everything goes on by itself.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use integration_tests::{
    on_processes,
    real::{Server, TestEnv, until},
};

/// How long a look may take at most, on a busy machine. What waits for room takes as long as there is none.
const LOOK: Duration = Duration::from_secs(20);

on_processes! {
    while_the_disk_is_full_views_answer_and_then_all_goes_on
}

/// A small file system, unmounted when dropped.
struct Disk(PathBuf);

impl Disk {
    /// Of so many bytes, in memory; `None`, and a word on standard error, where none can be mounted.
    fn mount(at: &Path, mib: u32) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let size = format!("size={mib}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).output();
        match mounted {
            Ok(mounted) if mounted.status.success() => Some(Self(at.to_owned())),
            tried => {
                eprintln!("NOT TRIED: no small disk can be mounted here: {tried:?}");
                None
            }
        }
    }

    fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut file = File::create(&path).unwrap();
        for block in [1 << 20, 4096, 1] {
            while file.write_all(&vec![1; block]).is_ok() {}
        }
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// Looks, and is answered in time: with what is durable, or with the reason why not.
#[track_caller]
fn looks(server: &Server, args: &[&str]) {
    let begun = Instant::now();
    let ran = server.cli(args);
    assert!(begun.elapsed() < LOOK, "took {:?}: {ran}", begun.elapsed());
    assert!(ran.code == 0 || ran.code == 1 && ran.stderr.contains("disk is full"), "{ran}");
}

fn while_the_disk_is_full_views_answer_and_then_all_goes_on(env: &TestEnv) {
    let Some(disk) = Disk::mount(&env.path("disk"), 260) else {
        return;
    };
    for number in 0..20 {
        env.write(&format!("in/{number:02}"), format!("input {number}\n"));
    }
    let coordinator = env.coordinator_on("disk/data", &[]);
    let worker = env.worker("worker", &coordinator);
    coordinator.until_workers(1);
    let script = format!(
        "test {{index}} -lt 3 || until test -e {}; do sleep 0.02; done; cat \"{{in}}\"",
        env.shell_path("gate")
    );
    let id = coordinator.submit(&["any", "in", "--", "sh", "-c", &script]);
    coordinator.until_committed(&id, 3);
    let filler = disk.fill();
    env.write("gate", "");
    until("a batch that finds no room", || coordinator.log().contains("waiting for room").then_some(()));
    for _ in 0..3 {
        looks(&coordinator, &["job", "show", &id]);
        looks(&coordinator, &["job", "ls"]);
        looks(&coordinator, &["worker", "ls"]);
        looks(&coordinator, &["service", "ls"]);
    }
    fs::remove_file(filler).unwrap();
    // A look just before the next try is still refused.
    until("the job's end", || {
        let ran = coordinator.cli(&["job", "show", &id, "--format", "json"]);
        (ran.code == 0 && ran.json()["state"] == "succeeded").then_some(())
    });
    let stage = &coordinator.job(&id)["stages"][0];
    assert_eq!((&stage["succeeded"], &stage["failed"]), (&20.into(), &0.into()));
    assert_eq!((worker.stop(), coordinator.stop()), (0, 0));
}
