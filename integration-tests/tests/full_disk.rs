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
    what_the_disk_had_no_room_for_was_never_promised
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

/// Submits a job of which three items end at once, and the others when the gate is open; each run is written down, and its end.
fn gated_job(env: &TestEnv, coordinator: &Server, items: usize) -> String {
    for number in 0..items {
        env.write(&format!("in/{number:02}"), format!("input {number}\n"));
    }
    let (runs, gate, ended) = (env.shell_path("runs"), env.shell_path("gate"), env.shell_path("ended"));
    fs::create_dir(env.path("ended")).unwrap();
    let script = format!(
        "echo {{name}} >> {runs}; test {{index}} -lt 3 || until test -e {gate}; do sleep 0.02; done; \
         cat \"{{in}}\"; touch {ended}/{{name}}"
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

fn what_the_disk_had_no_room_for_was_never_promised(env: &TestEnv) {
    let Some(disk) = Disk::mount(&env.path("disk"), 260) else {
        return;
    };
    let coordinator = env.coordinator_on("disk/data", &[]);
    let address = coordinator.address.clone();
    let worker = env.worker("worker", &coordinator);
    coordinator.until_workers(1);
    let id = gated_job(env, &coordinator, 4);
    env.write("echo.yaml", format!("name: echo\nleaf: {{ image: {}, command: [cat] }}\n", env.image()));
    coordinator.cli(&["service", "deploy", "echo.yaml"]).exits(0);
    let mut waiting = coordinator.begin(&["wait", &id]);
    let filler = disk.fill();
    // Taken in, and not kept: nobody may be told that it is done.
    for words in [["service", "rm", "echo"], ["job", "cancel", &id]] {
        let refused = coordinator.cli(&words);
        assert!(refused.code == 1 && refused.stderr.contains("disk is full"), "{refused}");
    }
    // The last item ends, and the job with it: that finds no room either.
    env.write("gate", "");
    until("the end of the last run", || (env.tree("ended").len() == 4).then_some(()));
    for _ in 0..5 {
        assert!(shown_succeeded(&coordinator, &id).is_none_or(|shown| shown == 3), "more is shown than is kept");
    }
    assert!(waiting.is_running(), "an end is told that is not kept: {}", waiting.said());
    coordinator.kill();
    fs::remove_file(filler).unwrap();
    let coordinator = env.coordinator_again("disk/data", &address);
    waiting.ended().exits(0);
    let job = coordinator.job(&id);
    assert_eq!((&job["state"], &job["stages"][0]["succeeded"]), (&"succeeded".into(), &4.into()));
    let runs = env.lines("runs");
    let names: BTreeSet<&String> = runs.iter().collect();
    assert_eq!((names.len(), runs.len()), (4, 4), "what ended while there was no room is told again, not run again");
    coordinator.cli(&["service", "rm", "echo"]).exits(0);
    assert_eq!((worker.stop(), coordinator.stop()), (0, 0));
}
