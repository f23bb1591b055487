//! What a run reads, writes and sees.

use std::fs::File;
use std::os::unix::fs::symlink;

use longshore_shim::{End, Stdin, Stdout, ToShim};
use rustix::io::Errno;
use rustix::process::Signal;

use crate::worker::{Place, Worker};

#[test]
fn standard_input_and_output_are_files() {
    for place in Place::all() {
        let mut worker = Worker::start(place);
        std::fs::write(worker.path("in"), "some input").unwrap();
        let mut run = worker.command(&["cat"]);
        run.stdin = Stdin::File("in".into());
        run.stdout = Stdout::Attached;
        worker.send_with(&ToShim::Run(run), &[&File::create(worker.path("out")).unwrap()]);
        let done = worker.done();
        assert_eq!((done.end, done.stdout.head), (End::Exited(0), vec![]));
        assert_eq!(std::fs::read_to_string(worker.path("out")).unwrap(), "some input");
    }
}

#[test]
fn runs_that_wait_keep_their_own_files() {
    let mut worker = Worker::start(Place::Child);
    let runs = ["first", "second", "third"].map(|word| (word, worker.command(&["echo", word])));
    for (word, mut run) in runs.clone() {
        run.stdout = Stdout::Attached;
        worker.send_with(&ToShim::Run(run), &[&File::create(worker.path(word)).unwrap()]);
    }
    for (word, run) in runs {
        assert_eq!(worker.done().seq, run.seq);
        assert_eq!(std::fs::read_to_string(worker.path(word)).unwrap(), format!("{word}\n"));
    }
}

#[test]
fn a_run_without_its_files_or_with_more_makes_no_sense() {
    for (stdout, files) in [(Stdout::Attached, 0), (Stdout::Log, 1), (Stdout::Attached, 8)] {
        let mut worker = Worker::start(Place::Child);
        let mut run = worker.command(&["true"]);
        run.stdout = stdout;
        let file = File::open("/dev/null").unwrap();
        match files {
            0 => worker.send(&ToShim::Run(run)),
            _ => worker.send_with(&ToShim::Run(run), &vec![&file; files]),
        }
        assert_eq!(worker.exit_status().code(), Some(70), "{stdout:?} with {files}");
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
fn an_input_that_is_a_link_or_missing_is_refused() {
    let mut worker = Worker::start(Place::Child);
    std::fs::write(worker.path("in"), "").unwrap();
    symlink(worker.path("in"), worker.path("link")).unwrap();
    for (name, wanted) in [("link", Errno::LOOP), ("missing", Errno::NOENT)] {
        let mut run = worker.command(&["cat"]);
        run.stdin = Stdin::File(name.into());
        let end = worker.carry_out(run).end;
        assert!(matches!(end, End::NotStarted { errno, .. } if errno == wanted.raw_os_error()), "{end:?}");
    }
}

#[test]
fn a_program_that_has_gone_is_looked_for_again() {
    let mut worker = Worker::start(Place::Child);
    let [first, second] = ["first", "second"].map(|name| worker.path(name));
    for directory in [&first, &second] {
        std::fs::create_dir(directory).unwrap();
        std::fs::copy("/bin/echo", directory.join("tool")).unwrap();
    }
    let path = std::env::join_paths([&first, &second]).unwrap().into_string().unwrap();
    let mut tool = || {
        let mut run = worker.command(&["tool"]);
        run.env.push(("PATH".into(), path.clone()));
        worker.carry_out(run).end
    };
    assert_eq!(tool(), End::Exited(0));
    std::fs::remove_file(first.join("tool")).unwrap();
    assert_eq!(tool(), End::Exited(0));
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
        run.env.extend([("FROM".into(), "nobody".into()), ("FROM".into(), "run".into())]);
        run.log_bytes = 64 << 10;
        let seen = String::from_utf8(worker.carry_out(run).stdout.head).unwrap();
        let lines: Vec<&str> = seen.lines().collect();
        assert!(lines.contains(&"FROM=run") && lines.contains(&"KEPT=yes"), "{seen}");
        assert_eq!(lines.iter().filter(|line| line.starts_with("FROM=")).count(), 1, "{seen}");
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
