//! What a run reads, writes and sees.

use std::os::unix::fs::{PermissionsExt, symlink};

use longshore_shim::{Done, End, Run, Stdout};
use rustix::io::Errno;
use rustix::process::Signal;

use crate::worker::{Place, Worker};

fn refusal(worker: &Worker, run: Run) -> Errno {
    let Done { end, .. } = worker.carry_out(run);
    match end {
        End::NotStarted { errno, .. } => Errno::from_raw_os_error(errno),
        other => panic!("it was started: {other:?}"),
    }
}

fn mode(path: &str) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn standard_input_and_output_are_files() {
    for place in Place::all() {
        let mut worker = Worker::start(place);
        std::fs::write(worker.path("in"), "some input").unwrap();
        let mut run = worker.command(&["cat"]);
        let out = format!("{}/a/b/out", run.out_dir);
        run.stdin = Some(worker.name("in"));
        run.stdout = Stdout::File(out.clone());
        let done = worker.carry_out(run.clone());
        assert_eq!((done.end, done.stdout.head), (End::Exited(0), vec![]));
        assert_eq!(std::fs::read_to_string(out).unwrap(), "some input");
        assert_eq!(mode(&run.out_dir), 0o777);
        assert_eq!(mode(&format!("{}/a/b", run.out_dir)), 0o777);
    }
}

#[test]
fn without_an_input_file_standard_input_is_empty() {
    for place in Place::all() {
        let mut worker = Worker::start(place);
        let run = worker.script("cat; echo end");
        assert_eq!(worker.carry_out(run).stdout.head, b"end\n");
    }
}

#[test]
fn an_output_directory_that_exists_is_refused() {
    for place in Place::all() {
        let mut worker = Worker::start(place);
        let run = worker.script("exit 0");
        std::fs::create_dir(&run.out_dir).unwrap();
        assert_eq!(refusal(&worker, run), Errno::EXIST);
        let run = worker.script("exit 0");
        symlink(worker.path(""), &run.out_dir).unwrap();
        assert_eq!(refusal(&worker, run), Errno::EXIST);
    }
}

#[test]
fn an_input_that_is_a_link_or_missing_is_refused() {
    let mut worker = Worker::start(Place::Child);
    std::fs::write(worker.path("in"), "").unwrap();
    symlink(worker.path("in"), worker.path("link")).unwrap();
    for (name, errno) in [("link", Errno::LOOP), ("missing", Errno::NOENT)] {
        let mut run = worker.command(&["cat"]);
        run.stdin = Some(worker.name(name));
        assert_eq!(refusal(&worker, run), errno);
    }
}

#[test]
fn an_output_file_outside_the_output_directory_is_refused() {
    let mut worker = Worker::start(Place::Child);
    for outside in ["{}/../outside", "{}-outside", "{}", "/outside"] {
        let mut run = worker.command(&["true"]);
        run.stdout = Stdout::File(outside.replace("{}", &run.out_dir));
        assert_eq!(refusal(&worker, run), Errno::INVAL);
    }
    assert!(!worker.path("outside").exists());
}

#[test]
fn the_mask_of_the_container_holds_for_runs() {
    let mut worker = Worker::start(Place::Child);
    let run = worker.script("umask");
    let here = std::process::Command::new("sh").args(["-c", "umask"]).output().unwrap();
    assert_eq!(worker.carry_out(run).stdout.head, here.stdout);
}

#[test]
fn the_environment_is_the_containers_and_the_runs_without_the_shims() {
    for place in Place::all() {
        let variables = [("LONGSHORE_SHIM_SECRET", "x"), ("FROM", "container"), ("KEPT", "yes")];
        let mut worker = Worker::start_with(place, &variables);
        let mut run = worker.command(&["env"]);
        run.env.push(("FROM".into(), "run".into()));
        let seen = String::from_utf8(worker.carry_out(run).stdout.head).unwrap();
        let lines: Vec<&str> = seen.lines().collect();
        assert!(lines.contains(&"FROM=run") && lines.contains(&"KEPT=yes"), "{seen}");
        assert!(!seen.contains("LONGSHORE_SHIM"), "{seen}");
    }
}

#[test]
fn no_descriptor_and_no_signal_mask_is_passed_on() {
    for place in Place::all() {
        let mut worker = Worker::start(place);
        let run = worker.command(&["ls", "/proc/self/fd"]);
        let seen = worker.carry_out(run).stdout.head;
        // 3 is the directory that `ls` reads.
        assert_eq!(String::from_utf8(seen).unwrap(), "0\n1\n2\n3\n");
        let run = worker.command(&["grep", "-E", "^Sig(Blk|Ign):", "/proc/self/status"]);
        let seen = String::from_utf8(worker.carry_out(run).stdout.head).unwrap();
        for line in seen.lines() {
            let set = u64::from_str_radix(line.split_at(8).1, 16).unwrap();
            for signal in [Signal::PIPE, Signal::TERM, Signal::CHILD] {
                assert_eq!(set >> (signal.as_raw() - 1) & 1, 0, "{signal:?} in {line}");
            }
        }
    }
}

#[test]
fn every_run_leads_its_own_process_group() {
    for place in Place::all() {
        let mut worker = Worker::start(place);
        let run = worker.command(&["cut", "-d ", "-f1,5", "/proc/self/stat"]);
        let seen = String::from_utf8(worker.carry_out(run).stdout.head).unwrap();
        let (pid, group) = seen.trim().split_once(' ').unwrap();
        assert_eq!(pid, group);
    }
}
