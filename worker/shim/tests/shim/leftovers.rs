//! Nothing of a run is left when its end is told.

use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags, mkfifoat, open};
use rustix::io::read;

use longshore_shim::{End, ToShim};

use crate::worker::{Place, Worker};

/// A FIFO that processes hold open for writing, so that their life shows whatever their number is.
pub struct Sign(OwnedFd);

impl Sign {
    /// Makes it in the worker's directory.
    pub fn new(worker: &Worker, name: &str) -> Self {
        let path = worker.path(name);
        mkfifoat(CWD, &path, Mode::from_raw_mode(0o666)).unwrap();
        Self(open(&path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()).unwrap())
    }

    /// Waits until somebody has written to it.
    pub fn wait(&self) {
        let limit = Timespec { tv_sec: 60, tv_nsec: 0 };
        let ready = poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&limit));
        assert_eq!(ready, Ok(1), "nobody gives a sign");
    }

    /// Whether a process holds it.
    pub fn is_held(&self) -> bool {
        let mut bytes = [0; 4096];
        loop {
            match read(&self.0, &mut bytes) {
                Ok(0) => return false,
                Ok(_) => {}
                Err(_) => return true,
            }
        }
    }
}

/// Leaves a process behind that has its own session, no tie to its parent, and holds the sign.
const DAEMON: &str = "setsid sh -c '(exec 9>\"$DIR\"/up; echo >&9; exec sleep 1000) &' & \
    while [ ! -e \"$DIR\"/seen ]; do sleep 0.01; done";

#[test]
fn a_daemon_is_killed_before_the_end_is_told() {
    for place in Place::all() {
        for (code, logs) in [(0, ""), (7, "exec >/dev/null 2>&1;")] {
            let mut worker = Worker::start(place);
            let up = Sign::new(&worker, "up");
            let run = worker.script(&format!("{logs} {DAEMON}; exit {code}"));
            worker.send(&ToShim::Run(run));
            up.wait();
            std::fs::write(worker.path("seen"), "").unwrap();
            let done = worker.done();
            assert!(!up.is_held());
            assert_eq!((done.end, done.dirty), (End::Exited(code), false));
        }
    }
}

#[test]
fn many_processes_in_many_generations_are_killed() {
    for place in Place::all() {
        let mut worker = Worker::start(place);
        let up = Sign::new(&worker, "up");
        let script = "exec 9>\"$DIR\"/up; for i in 1 2 3 4 5 6 7 8 9 10; do \
            setsid sh -c 'sleep 1000 & setsid sh -c \"sleep 1000 & sleep 1000\" & sleep 1000' & \
            done; exit 0";
        let run = worker.script(script);
        worker.carry_out(run);
        assert!(!up.is_held());
    }
}

#[test]
fn orphans_that_end_during_a_run_do_not_stay() {
    for place in Place::all() {
        let mut worker = Worker::start(place);
        let up = Sign::new(&worker, "up");
        let script = "i=0; while [ $i -lt 50 ]; do (true &); i=$((i+1)); done; \
            exec 9>\"$DIR\"/up; echo >&9; exec sleep 1000";
        let run = worker.script(script);
        let seq = run.seq;
        worker.send(&ToShim::Run(run));
        up.wait();
        let shim = worker.shim_pid();
        let children = format!("/proc/{shim}/task/{shim}/children");
        // The last of them may be ending still.
        while std::fs::read_to_string(&children).unwrap().split_whitespace().count() > 1 {
            std::thread::yield_now();
        }
        worker.send(&ToShim::Stop { seq, grace_ms: 60_000 });
        assert_eq!(worker.done().end, End::Stopped);
    }
}

#[test]
fn scratch_is_emptied_after_each_run() {
    for place in Place::all() {
        let mut worker = Worker::start(place);
        let script = "cd \"$DIR\"/scratch && test -z \"$(ls -A)\" && mkdir -p a/b/c/d .hidden && \
            echo x > a/b/c/x && ln -s \"$DIR\" a/link && mkfifo a/fifo && chmod 0 a/b && echo fine";
        for _ in 0..2 {
            let run = worker.script(script);
            assert_eq!(worker.carry_out(run).stdout.head, b"fine\n");
            assert_eq!(std::fs::read_dir(worker.path("scratch")).unwrap().count(), 0);
        }
        assert!(worker.path("worker.sock").exists());
    }
}

#[test]
fn scratch_that_cannot_be_emptied_makes_the_container_dirty() {
    for place in Place::all() {
        let mut worker = Worker::start(place);
        let run = worker.script("rmdir \"$DIR\"/scratch");
        worker.send(&ToShim::Run(run));
        let done = worker.done();
        assert_eq!((done.end, done.dirty), (End::Exited(0), true));
    }
}
