//! How runs end.

use longshore_shim::{Done, End, ToShim};
use rustix::io::Errno;

use crate::leftovers::Sign;
use crate::worker::{Place, Worker};

fn end_of(worker: &mut Worker, script: &str) -> End {
    let run = worker.script(script);
    worker.carry_out(run).end
}

fn not_started(done: &Done) -> (Errno, &str) {
    match &done.end {
        End::NotStarted { errno, doing } => (Errno::from_raw_os_error(*errno), doing),
        other => panic!("it was started: {other:?}"),
    }
}

#[test]
fn exit_codes_and_signals_are_told_apart() {
    for place in Place::all() {
        let mut worker = Worker::start(place);
        assert_eq!(end_of(&mut worker, "exit 0"), End::Exited(0));
        assert_eq!(end_of(&mut worker, "exit 137"), End::Exited(137));
        assert_eq!(end_of(&mut worker, "kill -9 $$"), End::Signaled { signal: 9 });
        assert_eq!(end_of(&mut worker, "kill -15 $$"), End::Signaled { signal: 15 });
    }
}

#[test]
fn a_command_that_does_not_exist_is_not_started() {
    for place in Place::all() {
        let mut worker = Worker::start(place);
        for name in ["longshore-no-such-program", "/no/such/program", ""] {
            let run = worker.command(&[name]);
            let done = worker.carry_out(run);
            assert_eq!(not_started(&done), (Errno::NOENT, format!("run {name}").as_str()));
        }
        let run = worker.command(&[]);
        assert_eq!(not_started(&worker.carry_out(run)).0, Errno::INVAL);
        let run = worker.command(&["/"]);
        assert_eq!(not_started(&worker.carry_out(run)).0, Errno::ACCESS);
        assert_eq!(end_of(&mut worker, "exit 3"), End::Exited(3), "the next run is fine");
    }
}

#[test]
fn a_long_name_in_an_error_still_fits_a_frame() {
    let mut worker = Worker::start(Place::Child);
    let run = worker.command(&[&"x".repeat(180_000)]);
    let done = worker.carry_out(run);
    assert!(not_started(&done).1.len() < 1000);
}

#[test]
fn programs_are_looked_up_in_the_path_of_the_run() {
    for place in Place::all() {
        let mut worker = Worker::start(place);
        std::fs::create_dir(worker.path("bin")).unwrap();
        std::os::unix::fs::symlink("/bin/sh", worker.path("bin/shell")).unwrap();
        let mut run = worker.command(&["shell", "-c", "exit 4"]);
        let path = worker.name("bin");
        run.env.push(("PATH".into(), path));
        assert_eq!(worker.carry_out(run).end, End::Exited(4));
        let run = worker.command(&["shell", "-c", "exit 4"]);
        assert_eq!(not_started(&worker.carry_out(run)).0, Errno::NOENT);
    }
}

#[test]
fn a_run_over_its_time_is_timed_out_even_if_it_then_succeeds() {
    for place in Place::all() {
        let mut worker = Worker::start(place);
        let mut run = worker.script("trap 'exit 0' TERM; while :; do sleep 0.01; done");
        run.timeout_ms = Some(100);
        let done = worker.carry_out(run);
        assert_eq!(done.end, End::TimedOut);
        assert!((100_000..30_000_000).contains(&done.usage.wall_us), "{:?}", done.usage);
    }
}

#[test]
fn a_run_that_ignores_the_request_is_killed_after_the_grace() {
    for place in Place::all() {
        let mut worker = Worker::start(place);
        let mut run = worker.script("trap '' TERM; while :; do sleep 0.01; done");
        run.timeout_ms = Some(10);
        run.grace_ms = 50;
        assert_eq!(worker.carry_out(run).end, End::TimedOut);
    }
}

#[test]
fn a_request_to_end_reaches_the_whole_process_group() {
    for place in Place::all() {
        let mut worker = Worker::start(place);
        let up = Sign::new(&worker, "up");
        let script = "sh -c 'exec 9>\"$DIR\"/up; trap \"echo asked; exit\" TERM; echo >&9; \
            while :; do sleep 0.01; done' & trap : TERM; wait $!; wait $!";
        let run = worker.script(script);
        let seq = run.seq;
        worker.send(&ToShim::Run(run));
        up.wait();
        worker.send(&ToShim::Stop { seq, grace_ms: 60_000 });
        let done = worker.done();
        assert_eq!(done.end, End::Stopped);
        assert_eq!(done.stdout.head, b"asked\n");
    }
}

#[test]
fn running_and_queued_runs_can_be_stopped() {
    for place in Place::all() {
        let mut worker = Worker::start(place);
        let up = Sign::new(&worker, "up");
        let running = worker.script("exec 9>\"$DIR\"/up; echo >&9; trap '' TERM; exec sleep 1000");
        let queued = worker.script("echo it ran");
        let last = worker.script("echo last");
        for run in [&running, &queued, &last] {
            worker.send(&ToShim::Run(run.clone()));
        }
        up.wait();
        worker.send(&ToShim::Stop { seq: queued.seq, grace_ms: 0 });
        let done = worker.done();
        assert_eq!((done.seq, done.end), (queued.seq, End::Stopped));
        worker.send(&ToShim::Stop { seq: running.seq, grace_ms: 0 });
        let done = worker.done();
        assert_eq!((done.seq, done.end), (running.seq, End::Stopped));
        assert!(!up.is_held());
        assert_eq!(worker.done().stdout.head, b"last\n");
    }
}

#[test]
fn stopping_a_run_that_is_over_does_nothing() {
    let mut worker = Worker::start(Place::Child);
    let run = worker.script("exit 0");
    let seq = run.seq;
    worker.carry_out(run);
    worker.send(&ToShim::Stop { seq, grace_ms: 0 });
    assert_eq!(end_of(&mut worker, "exit 5"), End::Exited(5));
}

#[test]
fn usage_is_that_of_the_run_and_its_children() {
    for place in Place::all() {
        let mut worker = Worker::start(place);
        let busy = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done";
        let run = worker.script(&format!("sh -c '{busy}'; exit 0"));
        let usage = worker.carry_out(run).usage;
        assert!(usage.user_us > 1000, "{usage:?}");
        assert!(usage.wall_us >= usage.user_us / 2, "{usage:?}");
        assert!(usage.max_rss_kib > 100, "{usage:?}");
        let run = worker.command(&["true"]);
        let next = worker.carry_out(run).usage;
        assert!(next.user_us < usage.user_us, "{next:?} {usage:?}");
    }
}
