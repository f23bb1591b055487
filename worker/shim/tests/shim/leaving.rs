//! However the shim leaves, everything it started goes first.

use longshore_shim::{End, MAX_QUEUED_RUNS, ToShim};
use rustix::process::{Pid, Signal, kill_process};

use crate::leftovers::Sign;
use crate::worker::{Place, Worker};

/// A worker whose shim has a run going on, with a daemon beside it.
fn busy(place: Place) -> (Worker, Sign) {
    let mut worker = Worker::start(place);
    let up = Sign::new(&worker, "up");
    let script = "exec 9>\"$DIR\"/up; setsid sh -c '(sleep 1000; true) &'; echo >&9; sleep 1000; true";
    let run = worker.script(script);
    worker.send(&ToShim::Run(run));
    up.wait();
    (worker, up)
}

#[test]
fn when_told_to() {
    for place in Place::all() {
        let (mut worker, up) = busy(place);
        worker.send(&ToShim::Exit);
        assert_eq!(worker.exit_status().code(), Some(0));
        assert!(!up.is_held());
    }
}

#[test]
fn when_the_worker_is_gone() {
    for place in Place::all() {
        let (mut worker, up) = busy(place);
        worker.hang_up();
        assert_eq!(worker.exit_status().code(), Some(0));
        assert!(!up.is_held());
    }
}

#[test]
fn when_the_engine_says_so() {
    for place in Place::all() {
        let (mut worker, up) = busy(place);
        let shim = Pid::from_raw(worker.shim_pid().try_into().unwrap()).unwrap();
        kill_process(shim, Signal::TERM).unwrap();
        assert_eq!(worker.exit_status().code(), Some(0));
        assert!(!up.is_held());
    }
}

#[test]
fn when_the_worker_makes_no_sense() {
    for place in Place::all() {
        let (mut worker, up) = busy(place);
        worker.send_bytes(b"\xff\xff\xff");
        assert_eq!(worker.exit_status().code(), Some(70));
        assert!(!up.is_held());
    }
}

#[test]
fn when_more_is_queued_than_was_agreed() {
    let (mut worker, up) = busy(Place::Child);
    let run = worker.script("exit 0");
    for _ in 0..=MAX_QUEUED_RUNS {
        worker.send(&ToShim::Run(run.clone()));
    }
    assert_eq!(worker.exit_status().code(), Some(70));
    assert!(!up.is_held());
}

#[test]
fn without_a_worker_it_does_not_begin() {
    let shim = crate::worker::shim();
    let begun = std::process::Command::new(shim).env("LONGSHORE_SHIM_SOCKET", "/no/such/socket").output().unwrap();
    assert_eq!(begun.status.code(), Some(69));
    let said = String::from_utf8(begun.stderr).unwrap();
    assert!(said.contains("/no/such/socket") && said.contains("No such file"), "{said}");
}

#[test]
fn not_when_a_run_says_so_where_it_is_process_1() {
    if !Place::all().contains(&Place::First) {
        return;
    }
    let mut worker = Worker::start(Place::First);
    let run = worker.script("kill -TERM 1; echo alive");
    let done = worker.carry_out(run);
    assert_eq!((done.end, &done.stdout.head[..]), (End::Exited(0), &b"alive\n"[..]));
    let run = worker.script("echo still here");
    assert_eq!(worker.carry_out(run).stdout.head, b"still here\n");
}
