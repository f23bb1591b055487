//! What a run writes is kept within bounds.

use longshore_shim::MAX_LOG_BYTES;

use crate::worker::{Place, Worker};

#[test]
fn both_logs_are_kept_apart() {
    for place in Place::all() {
        let mut worker = Worker::start(place);
        let run = worker.script("echo to out; echo to err >&2");
        let done = worker.carry_out(run);
        assert_eq!((done.stdout.head, done.stderr.head), (b"to out\n".to_vec(), b"to err\n".to_vec()));
        assert_eq!(done.stdout.dropped + done.stderr.dropped, 0);
    }
}

#[test]
fn a_flood_keeps_its_beginning_and_its_end() {
    for place in Place::all() {
        let mut worker = Worker::start(place);
        let script = "echo begin; head -c 200000000 /dev/zero; echo end; \
            head -c 200000000 /dev/zero >&2";
        let mut run = worker.script(script);
        run.log_bytes = u32::MAX;
        let done = worker.carry_out(run);
        let kept = u64::from(MAX_LOG_BYTES);
        assert!(done.stdout.head.starts_with(b"begin\n"));
        assert!(done.stdout.tail.ends_with(b"\0end\n"));
        assert_eq!(done.stdout.dropped, 200_000_010 - kept);
        assert_eq!(done.stderr.dropped, 200_000_000 - kept);
        assert!(most_memory_kib(&worker) < 16 * 1024);
    }
}

#[test]
fn what_was_written_last_is_not_lost() {
    for place in Place::all() {
        let mut worker = Worker::start(place);
        for _ in 0..50 {
            let run = worker.script("(head -c 60000 /dev/zero; echo end) >&2; exit 1");
            let done = worker.carry_out(run);
            assert_eq!(done.stderr.dropped, 60_004 - 4096);
            assert!(done.stderr.tail.ends_with(b"\0end\n"));
        }
    }
}

fn most_memory_kib(worker: &Worker) -> u64 {
    let status = format!("/proc/{}/status", worker.shim_pid());
    let status = std::fs::read_to_string(status).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.unwrap().trim().trim_end_matches(" kB").parse().unwrap()
}
