//! What a run may use, through the real binary on real containers: what nobody asked for is there, and bounded.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use integration_tests::{on_docker, real::TestEnv};
use serde_json::Value;

on_docker! {
    a_run_has_room_for_temporary_files_and_may_run_what_it_unpacks
    a_run_begins_where_it_can_write
    memory_processors_and_processes_are_bounded_unasked
    outputs_that_grow_too_large_together_end_their_run
    an_image_that_may_be_written_is_every_items_own
    more_than_the_operator_allows_is_refused_with_the_flag
}

fn failure_of(job: &Value) -> Value {
    job["recent_failures"][0]["failure"].clone()
}

fn a_run_has_room_for_temporary_files_and_may_run_what_it_unpacks(env: &TestEnv) {
    env.write("in/one", "");
    let up = env.up();
    let script = "for place in \"$TMPDIR\" /tmp \"$HOME\" .; do head -c 100000000 /dev/zero > $place/spill || exit 1; done; \
                  for place in \"$TMPDIR\" /tmp /dev/shm; do cp /bin/sh $place/sh && $place/sh -c true || exit 2; done; \
                  echo fits";
    let run = ["run", env.image(), "in", "-o", "out", "--", "sh", "-c", script];
    up.cli(&run).exits(0);
    assert_eq!(env.read("out/one"), "fits\n");
}

fn a_run_begins_where_it_can_write(env: &TestEnv) {
    env.write("in/one", "x");
    let up = env.up();
    let script = "echo side > ./side.file && cat side.file > {out}";
    for (more, out) in [(&["--isolation", "slot"][..], "slot"), (&["--workdir", "/work/here"], "named")] {
        let run = [&["run"][..], more, &[env.image(), "in", "-o", out, "--", "sh", "-c", script]].concat();
        up.cli(&run).exits(0);
        assert_eq!(env.read(&format!("{out}/one")), "side\n");
    }
    let run = ["run", "--workdir", "/proc/self", env.image(), "in", "--", "true"];
    up.cli(&run).exits(2).says("/proc");
}

fn memory_processors_and_processes_are_bounded_unasked(env: &TestEnv) {
    env.write("in/one", "");
    let up = env.up();
    // By cgroup v1 or v2.
    let script =
        "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes memory.max pids/pids.max pids.max 2> /dev/null; true";
    up.cli(&["run", env.image(), "in", "-o", "out", "--", "sh", "-c", script]).exits(0);
    let told = env.read("out/one");
    let [memory, processes] = told.lines().map(|line| line.parse::<u64>().unwrap()).collect::<Vec<_>>()[..] else {
        panic!("{told}");
    };
    assert!((512 << 20..1 << 50).contains(&memory), "{memory}");
    assert_eq!(processes, 4_096);
}

fn outputs_that_grow_too_large_together_end_their_run(env: &TestEnv) {
    env.write("in/one", "");
    let up = env.up();
    let script = "i=0; while :; do i=$((i+1)); head -c 1000000 /dev/zero > {outdir}/$i; sleep 0.02; done";
    let run = ["run", "--max-total-output", "8m", env.image(), "in", "--", "sh", "-c", script];
    up.cli(&run).exits(3);
    let failure = failure_of(&up.job("last"));
    assert_eq!(failure["class"], "output", "{failure}");
    let message = failure["message"].as_str().unwrap();
    assert!(message.contains("together and may take 8 MiB; `max_total_output: 16m`"), "{message}");
}

fn an_image_that_may_be_written_is_every_items_own(env: &TestEnv) {
    env.write("in/one", "");
    env.write("in/two", "");
    let up = env.up_with(&["--allow-root"]);
    let script = "test ! -e /bin/mine && echo {name} > /bin/mine && cat /bin/mine > {out}";
    let run = ["run", "--read-only=false", "--user", "0", env.image(), "in", "-o", "out", "--", "sh", "-c", script];
    up.cli(&run).exits(0);
    assert_eq!((env.read("out/one"), env.read("out/two")), ("one\n".to_owned(), "two\n".to_owned()));
    let fill = "head -c 20000000 /dev/zero > /bin/large; sleep 600";
    let run =
        ["run", "--read-only=false", "--user", "0", "--tmp-size", "10m", env.image(), "in/one", "--", "sh", "-c", fill];
    up.cli(&run).exits(3);
    let failure = failure_of(&up.job("last"));
    assert!(failure["message"].as_str().unwrap().contains("may take 10 MiB; `tmp_size: 20m`"), "{failure}");
    let run = ["run", "--read-only=false", "--isolation", "slot", env.image(), "in", "--", "true"];
    up.cli(&run).exits(2).says("read_only: false");
}

fn more_than_the_operator_allows_is_refused_with_the_flag(env: &TestEnv) {
    env.write("in/one", "");
    let up = env.up_with(&["--max-memory", "1g"]);
    up.until_workers(1);
    let refused = up.cli(&["run", "-m", "2g", env.image(), "in", "--", "true"]).exits(6);
    refused.says("memory 2 GiB is more than the 1 GiB").says("--max-memory 2GiB");
}
