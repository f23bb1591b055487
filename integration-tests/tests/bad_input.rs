//! Bad input through the real binary: each gets an error that names it and the right exit code, and nobody else notices.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::process::Command;

use integration_tests::{
    on_both_runtimes, on_docker, on_processes,
    real::{Server, TestEnv, until},
};
use serde_json::Value;

/// Runs bad things beside a job that has nothing to do with them, which takes one of two slots and has to finish.
fn beside_a_neighbour(env: &TestEnv, bad_things: impl FnOnce(&Server)) {
    let up = env.up();
    for number in 0..3 {
        env.write(&format!("neighbour/{number}"), format!("neighbour {number}\n"));
    }
    // Containers do not see the test's directory, so that gate is a little time.
    let wait = match env.has_docker() {
        true => "sleep 0.5".to_owned(),
        false => format!("until test -e {}; do sleep 0.02; done", env.shell_path("gate")),
    };
    let script = format!("{wait}; cat \"{{in}}\" > \"{{out}}\"");
    let id = up.submit(&[env.image(), "neighbour", "-j", "1", "--", "sh", "-c", &script]);
    until("the neighbour's start", || (up.job(&id)["stages"][0]["running"] == 1).then_some(()));
    bad_things(&up);
    env.write("gate", "");
    up.cli(&["wait", &id]).exits(0);
    up.cli(&["job", "outputs", &id, "-o", "neighbour-out"]).exits(0);
    assert_eq!(env.tree("neighbour-out"), env.tree("neighbour"));
    assert_eq!(up.job(&id)["recent_failures"], Value::Array(Vec::new()));
}

fn failure(up: &Server) -> Value {
    up.job("last")["recent_failures"][0]["failure"].clone()
}

on_both_runtimes! {
    an_output_that_is_no_regular_file_is_refused
    a_command_that_is_not_there_is_named
}

fn an_output_that_is_no_regular_file_is_refused(env: &TestEnv) {
    env.write("in/item", "");
    beside_a_neighbour(env, |up| {
        let bad = [
            ("ln -s /etc/shadow \"{out}\"", "\"item\" is a link to \"/etc/shadow\", which leads out"),
            (
                "mkdir \"{outdir}\"/d && ln -s /etc \"{outdir}\"/d/etc",
                "\"d/etc\" is a link to \"/etc\", which leads out",
            ),
            ("mkfifo \"{out}\"", "\"item\" is a FIFO"),
            ("mkdir \"{out}\"", "left no output: expected \"item\""),
        ];
        for (script, words) in bad {
            up.cli(&["run", env.image(), "in", "-o", "out", "--", "sh", "-c", script]).exits(3).says(words);
            assert_eq!(failure(up)["class"], "output", "{script}");
        }
        assert_eq!(env.names("out"), Vec::<String>::new());
    });
}

fn a_command_that_is_not_there_is_named(env: &TestEnv) {
    env.write("in/item", "");
    beside_a_neighbour(env, |up| {
        up.cli(&["run", env.image(), "in", "--", "no-such-program"]).exits(3).says("no-such-program: not found");
        assert_eq!(failure(up)["class"], "command");
    });
}

on_processes! {
    inputs_that_are_none_are_refused_by_name
    specs_are_refused_with_line_and_column
    two_items_with_the_same_output_are_both_named
    a_device_as_output_is_refused
    three_gigabytes_of_output_meet_their_bound
    three_gigabytes_of_log_are_cut
    without_docker_up_says_so_and_what_to_do
    without_a_coordinator_commands_say_where_they_looked
    wrong_command_lines_are_usage_errors
}

fn inputs_that_are_none_are_refused_by_name(env: &TestEnv) {
    env.write("in/a/same", "1");
    env.write("in/b/same", "2");
    std::fs::create_dir_all(env.path("empty/below")).unwrap();
    assert!(Command::new("mkfifo").arg(env.path("in.fifo")).status().unwrap().success());
    beside_a_neighbour(env, |up| {
        let bad: [(&[&str], &str); 6] = [
            (&["empty"], "directory empty has no file in it"),
            (&["in/*.txt"], "pattern in/*.txt matches no file"),
            (&["not-there"], "cannot read not-there"),
            (&["in.fifo"], "in.fifo is a named pipe, not a regular file"),
            (&["in/a/same", "in/b/same"], "two inputs would both be item same: in/a/same and in/b/same"),
            (&[], "no input is named"),
        ];
        for (inputs, words) in bad {
            let args = [&["run", "any"], inputs, &["-o", "out", "--", "cat"]].concat();
            up.cli(&args).exits(2).says(words);
        }
        // A listed path that climbs lends its item the base name only; one that ends in a climb has none.
        up.cli_with_input(&["run", "any", "-", "--", "cat"], "in/../..\n").exits(2).says("in/../..");
        up.cli_with_input(&["run", "any", "-", "--", "cat"], "\n\n").exits(2).says("standard input lists nothing");
        let listed = "in/../in/a/same\n";
        up.cli_with_input(&["run", "any", "-", "-o", "climbed/out", "--", "cat"], listed).exits(0);
        assert_eq!(env.names("climbed"), ["out/same"]);
        assert_eq!(up.cli(&["job", "ls", "-q"]).stdout.lines().count(), 2, "nothing refused was submitted");
    });
}

fn specs_are_refused_with_line_and_column(env: &TestEnv) {
    env.write("in/item", "");
    let stage = "stages:\n  - name: one\n    image: any\n";
    let jobs = [
        ("    comand: [cat]\n", "job.yaml:4:5: unknown field `comand`"),
        ("    command: cat\n", "job.yaml:4:"),
        ("    retry: { attempts: -1 }\n", "job.yaml:4:24: "),
        ("    timeout: soon\n", "job.yaml:4:14: "),
        ("    max_output: -5\n", "job.yaml:4:17: "),
        ("    command: [cat\n", "job.yaml:"),
    ];
    beside_a_neighbour(env, |up| {
        for (line, words) in jobs {
            env.write("job.yaml", format!("{stage}{line}"));
            up.cli(&["run", "-f", "job.yaml", "in"]).exits(2).says(words);
        }
        let services = [
            ("shards: -4", "service.yaml:4:11: "),
            ("shards: many", "service.yaml:4:11: "),
            ("shard: 4", "service.yaml:4:3: unknown field `shard`"),
            ("data: not-there", "not-there"),
        ];
        for (line, words) in services {
            env.write("service.yaml", format!("name: bad\nleaf:\n  image: any\n  {line}\n"));
            up.cli(&["service", "deploy", "service.yaml"]).exits(2).says(words);
        }
        up.cli(&["service", "deploy", "not-there.yaml"]).exits(2).says("not-there.yaml");
        assert_eq!(up.cli(&["service", "ls", "-q"]).exits(0).stdout, "");
    });
}

fn two_items_with_the_same_output_are_both_named(env: &TestEnv) {
    env.write("in/a", "");
    env.write("in/b", "");
    beside_a_neighbour(env, |up| {
        let ran = up.cli(&["run", "any", "in", "-o", "out", "--", "sh", "-c", "echo > \"{outdir}\"/same"]);
        ran.exits(2).says("items a and b both left output same");
        assert_eq!(env.names("out"), Vec::<String>::new());
    });
}

fn a_device_as_output_is_refused(env: &TestEnv) {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped, as only root may make a device");
        return;
    }
    env.write("in/item", "");
    beside_a_neighbour(env, |up| {
        let script = "mknod \"{out}\" c 1 5";
        up.cli(&["run", "any", "in", "-o", "out", "--", "sh", "-c", script]).exits(3).says("\"item\" is a device");
        assert_eq!(env.names("out"), Vec::<String>::new());
    });
}

fn three_gigabytes_of_output_meet_their_bound(env: &TestEnv) {
    env.write("in/item", "");
    let spec = "
stages:
  - { name: flood, image: any, max_output: 64MiB, command: [head, -c, '3000000000', /dev/zero] }
";
    env.write("flood.yaml", spec);
    beside_a_neighbour(env, |up| {
        up.cli(&["run", "-f", "flood.yaml", "in", "-o", "out"]).exits(3).says("64");
        assert_eq!(failure(up)["class"], "output", "{}", failure(up));
        assert_eq!(env.names("out"), Vec::<String>::new());
    });
}

fn three_gigabytes_of_log_are_cut(env: &TestEnv) {
    env.write("in/item", "kept\n");
    beside_a_neighbour(env, |up| {
        let script = "head -c 3000000000 /dev/zero >&2; cat \"{in}\" > \"{out}\"";
        up.cli(&["run", "any", "in", "-o", "out", "--", "sh", "-c", script]).exits(0);
        assert_eq!(env.tree("out"), env.tree("in"));
        let logs = up.cli(&["logs", "last", "-q"]).exits(0);
        assert!((1_000..200_000).contains(&logs.stderr.len()), "{} bytes of log", logs.stderr.len());
    });
}

fn without_docker_up_says_so_and_what_to_do(env: &TestEnv) {
    let args = ["up", "--data", "data", "--listen", "127.0.0.1:0"];
    let ran = env.cli_with(&[("DOCKER_HOST", "unix:///nowhere/docker.sock")], &args).exits(1);
    ran.says("the Docker Engine cannot be used").says("/nowhere/docker.sock").says("--runtime process");
    let doctor = env.cli_with(&[("DOCKER_HOST", "unix:///nowhere/docker.sock")], &["doctor"]);
    assert_ne!(doctor.code, 0, "{doctor}");
}

fn without_a_coordinator_commands_say_where_they_looked(env: &TestEnv) {
    env.write("in/item", "");
    // Nobody listens on the port of a listener that is gone.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let calls: [&[&str]; 3] = [&["job", "ls"], &["query", "find", "-d", "x"], &["run", "any", "in", "--", "cat"]];
    for call in calls {
        env.cli(&[&["--connect-timeout", "1s", "--addr", &gone], call].concat()).exits(1).says(&gone);
    }
}

fn wrong_command_lines_are_usage_errors(env: &TestEnv) {
    env.write("in/item", "");
    beside_a_neighbour(env, |up| {
        let bad: [&[&str]; 6] = [
            &["run", "any", "in", "--timeout", "soon", "--", "cat"],
            &["run", "any", "in", "--retries", "-1", "--", "cat"],
            &["run", "any", "in", "--memory", "lots", "--", "cat"],
            &["job", "show", "not-an-id"],
            &["up", "--listen", "plain://0.0.0.0:0"],
            &["fly"],
        ];
        for words in bad {
            up.cli(words).exits(2);
        }
    });
}

on_docker! {
    an_image_that_is_not_there_is_named
    a_container_cannot_make_a_device
}

fn an_image_that_is_not_there_is_named(env: &TestEnv) {
    env.write("in/item", "");
    beside_a_neighbour(env, |up| {
        // A registry that nobody serves: nothing leaves this machine.
        let image = "127.0.0.1:1/no-such-image:none";
        // It may be there in a minute: the item is tried again, and why it waits is said.
        let id = up.submit(&[image, "in", "--", "true"]);
        let told = until("the failure of an attempt", || {
            let failed = &up.job(&id)["recent_failures"][0]["failure"];
            failed.is_object().then(|| failed.clone())
        });
        assert_eq!(told["class"], "infrastructure", "{told}");
        let words = told["message"].as_str().unwrap();
        assert!(words.contains(image) && words.contains("127.0.0.1:1"), "{words}");
        up.cli(&["job", "cancel", &id]).exits(0);
        up.cli(&["run", "Bad Image", "in", "--", "true"]).exits(2).says("Bad Image");
        let spec = format!("name: none\nleaf: {{ image: '{image}' }}\n");
        env.write("none.yaml", spec);
        up.cli(&["service", "deploy", "none.yaml", "--timeout", "2s"]).exits(1).says(image);
        up.cli(&["service", "rm", "none"]).exits(0);
    });
}

fn a_container_cannot_make_a_device(env: &TestEnv) {
    env.write("in/item", "");
    beside_a_neighbour(env, |up| {
        let script = "mknod \"{out}\" c 1 5";
        up.cli(&["run", env.image(), "in", "-o", "out", "--", "sh", "-c", script]).exits(3).says("not permitted");
        assert_eq!(env.names("out"), Vec::<String>::new());
    });
}

#[test]
fn an_image_without_a_shell_is_told_so() {
    let Some(env) = TestEnv::docker_without_shell() else { return };
    env.write("in/item", "text\n");
    let up = env.up();
    up.cli(&["run", env.image(), "in", "--", "sh", "-c", "cat \"{in}\""]).exits(3).says("sh: not found in the image");
    assert_eq!(failure(&up)["class"], "command");
    up.cli(&["run", env.image(), "in", "-o", "out", "--", "cat"]).exits(0);
    assert_eq!(env.tree("out"), env.tree("in"));
}
