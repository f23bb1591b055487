//! The coordinator's disk runs full under a job: who only looks is answered, with room everything goes on by itself, and nothing was
//! said or ordered that a crash meanwhile undoes.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::{
    collections::BTreeSet,
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
    nothing_is_answered_that_the_disk_has_no_room_for
    nothing_is_shown_or_settled_that_the_disk_has_no_room_for
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
    let coordinator = env.coordinator_on("disk/data", &[]);
    let worker = env.worker("worker", &coordinator);
    coordinator.until_workers(1);
    let id = gated_job(env, &coordinator, 20);
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
    // Whoever asks now is answered after another try, which finds room.
    coordinator.cli(&["wait", &id]).exits(0);
    let stage = &coordinator.job(&id)["stages"][0];
    assert_eq!((&stage["succeeded"], &stage["failed"]), (&20.into(), &0.into()));
    assert_eq!((worker.stop(), coordinator.stop()), (0, 0));
}

/// Submits a job of which three items end at once, and the others when the gate is open; each run is written down.
fn gated_job(env: &TestEnv, coordinator: &Server, items: usize) -> String {
    for number in 0..items {
        env.write(&format!("in/{number:02}"), format!("input {number}\n"));
    }
    let (runs, gate) = (env.shell_path("runs"), env.shell_path("gate"));
    let script = format!(
        "echo {{name}} >> {runs}; test {{index}} -lt 3 || until test -e {gate}; do sleep 0.02; done; cat \"{{in}}\""
    );
    let id = coordinator.submit(&["any", "in", "--", "sh", "-c", &script]);
    coordinator.until_committed(&id, 3);
    id
}

/// What `job show` says has succeeded, if it says anything.
fn shown_succeeded(coordinator: &Server, id: &str) -> Option<u64> {
    let ran = coordinator.cli(&["job", "show", id, "--format", "json"]);
    (ran.code == 0).then(|| ran.json()["stages"][0]["succeeded"].as_u64().unwrap())
}

/// A coordinator with its directory on a small disk, a worker, and a job of four items of which one waits at the gate.
fn four_items<'env>(env: &'env TestEnv) -> (Server<'env>, Server<'env>, String) {
    let coordinator = env.coordinator_on("disk/data", &[]);
    let worker = env.worker("worker", &coordinator);
    coordinator.until_workers(1);
    let id = gated_job(env, &coordinator, 4);
    (coordinator, worker, id)
}

/// After a crash all four have succeeded, each by one run.
#[track_caller]
fn succeeded_by_one_run_each(env: &TestEnv, coordinator: &Server, id: &str) {
    coordinator.cli(&["wait", id]).exits(0);
    let job = coordinator.job(id);
    assert_eq!((&job["state"], &job["stages"][0]["succeeded"]), (&"succeeded".into(), &4.into()));
    let runs = env.lines("runs");
    let names: BTreeSet<&String> = runs.iter().collect();
    assert_eq!((names.len(), runs.len()), (4, 4), "what ended while there was no room is told again, not run again");
}

fn nothing_is_answered_that_the_disk_has_no_room_for(env: &TestEnv) {
    let Some(disk) = Disk::mount(&env.path("disk"), 260) else {
        return;
    };
    let (coordinator, worker, id) = four_items(env);
    env.write("echo.yaml", format!("name: echo\nleaf: {{ image: {}, command: [cat] }}\n", env.image()));
    coordinator.cli(&["service", "deploy", "echo.yaml"]).exits(0);
    let filler = disk.fill();
    // Taken in, and not kept.
    for words in [["service", "rm", "echo"], ["job", "cancel", &id]] {
        let refused = coordinator.cli(&words);
        assert!(refused.code == 1 && refused.stderr.contains("disk is full"), "{refused}");
    }
    let address = coordinator.address.clone();
    coordinator.kill();
    fs::remove_file(filler).unwrap();
    let coordinator = env.coordinator_again("disk/data", &address);
    env.write("gate", "");
    succeeded_by_one_run_each(env, &coordinator, &id);
    coordinator.cli(&["service", "rm", "echo"]).exits(0);
    assert_eq!((worker.stop(), coordinator.stop()), (0, 0));
}

fn nothing_is_shown_or_settled_that_the_disk_has_no_room_for(env: &TestEnv) {
    let Some(disk) = Disk::mount(&env.path("disk"), 260) else {
        return;
    };
    let (coordinator, worker, id) = four_items(env);
    let mut waiting = coordinator.begin(&["wait", &id]);
    let filler = disk.fill();
    // The last item ends, and the job with it.
    env.write("gate", "");
    until("a batch that finds no room", || coordinator.log().contains("waiting for room").then_some(()));
    for _ in 0..5 {
        assert!(shown_succeeded(&coordinator, &id).is_none_or(|shown| shown == 3), "more is shown than is kept");
    }
    assert!(waiting.is_running(), "an end is told that is not kept: {}", waiting.said());
    let address = coordinator.address.clone();
    coordinator.kill();
    fs::remove_file(filler).unwrap();
    let coordinator = env.coordinator_again("disk/data", &address);
    waiting.ended().exits(0);
    succeeded_by_one_run_each(env, &coordinator, &id);
    assert_eq!((worker.stop(), coordinator.stop()), (0, 0));
}
