//! Order is lineage, large gathers are right, and inputs are taken as people have them.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::fs;

use integration_tests::{on_both_runtimes, on_processes, real::TestEnv};

on_both_runtimes! {
    thousands_of_parts_are_arguments_of_one_command
    parts_are_one_stream_where_that_is_said
}

on_processes! {
    who_is_faster_changes_no_byte_of_what_is_gathered
    outputs_are_listed_as_their_inputs_are_whoever_was_faster
    more_parts_than_arguments_can_be_are_refused_before_anything_runs
    an_output_never_replaces_an_input
    where_outputs_go_is_no_input_the_next_time
    what_is_in_the_way_of_outputs_is_found_before_the_work
    lines_are_put_together_and_those_of_windows_are_like_others
    inputs_that_cannot_be_used_are_left_out_told_and_counted
    fields_of_lines_of_json_are_words_of_the_command
}

/// Two map stages: each item of the first waits for the one that is to end before it, and leaves one to three outputs.
const MAPS: &str = r#"
stages:
  - name: first
    image: IMAGE
    command:
      - sh
      - -c
      - |
        mine=$(cat "{in}"); before=$(cat ORDER/$mine)
        until test -z "$before" || test -e DONE/$before; do sleep 0.01; done
        for n in $(seq $((mine % 3 + 1))); do echo "$mine.$n" > "{outdir}/$mine-$n"; done
        touch DONE/$mine
  - { name: second, image: IMAGE, command: [sh, -c, 'sed "s/^/second /" "{in}" > "{out}"'] }
"#;

const GATHER: &str = r#"
  - { name: third, gather: all, image: IMAGE, command: [sh, -c, 'ls "{in}"; cat "{in}"/*'] }
"#;

/// Lays out inputs whose commands end in this order, and the specification of stages; answers its name.
fn pipeline(env: &TestEnv, run: usize, order: &[usize], stages: &str) -> String {
    for (at, mine) in order.iter().enumerate() {
        env.write(&format!("in/{mine}"), format!("{mine}\n"));
        let before = at.checked_sub(1).map_or(String::new(), |before| order[before].to_string());
        env.write(&format!("order-{run}/{mine}"), before);
    }
    fs::create_dir_all(env.path(&format!("done-{run}"))).unwrap();
    let spec = stages
        .replace("IMAGE", env.image())
        .replace("ORDER", &env.shell_path(&format!("order-{run}")))
        .replace("DONE", &env.shell_path(&format!("done-{run}")));
    let name = format!("spec-{run}.yaml");
    env.write(&name, spec);
    name
}

const ORDERS: [[usize; 6]; 3] = [[1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1], [3, 1, 6, 2, 5, 4]];

fn who_is_faster_changes_no_byte_of_what_is_gathered(env: &TestEnv) {
    let up = env.up_with_slots(6);
    let wanted: Vec<String> =
        (1..=6).flat_map(|item| (1..=item % 3 + 1).map(move |n| format!("second {item}.{n}"))).collect();
    for (run, order) in ORDERS.iter().enumerate() {
        let spec = pipeline(env, run, order, &format!("{MAPS}{}", GATHER.trim_start_matches('\n')));
        let out = format!("out-{run}");
        up.cli(&["run", "-f", &spec, "in", "-o", &out]).exits(0);
        let lines = env.lines(&format!("{out}/third"));
        let (names, content) = lines.split_at(wanted.len());
        assert_eq!(content, wanted, "{order:?}");
        let numbered =
            |(at, line): (usize, &String)| format!("{at:06}-{}", line.trim_start_matches("second ").replace('.', "-"));
        assert_eq!(names, wanted.iter().enumerate().map(numbered).collect::<Vec<_>>());
    }
}

fn outputs_are_listed_as_their_inputs_are_whoever_was_faster(env: &TestEnv) {
    let up = env.up_with_slots(6);
    let wanted: Vec<String> = (1..=6).flat_map(|item| (1..=item % 3 + 1).map(move |n| format!("{item}-{n}"))).collect();
    for (run, order) in ORDERS.iter().enumerate() {
        let spec = pipeline(env, run, order, MAPS);
        let id = up.submit(&["-f", &spec, "in"]);
        up.cli(&["job", "wait", &id]).exits(0);
        let listed = up.cli(&["job", "outputs", &id, "--format", "json"]).exits(0).json();
        let paths: Vec<&str> =
            listed.as_array().unwrap().iter().map(|output| output["path"].as_str().unwrap()).collect();
        assert_eq!(paths, wanted, "{order:?}");
    }
}

/// A stage that leaves so many files of such long names for each input, and a gather with this command.
fn many_parts(env: &TestEnv, each: usize, name_bytes: usize, gather: &str) {
    env.write("in/a", "");
    env.write("in/b", "");
    let name = "n".repeat(name_bytes);
    let split = format!("n=0; while test $n -lt {each}; do n=$((n+1)); echo $n > \"{{outdir}}/$n-{name}\"; done");
    let spec = format!(
        "stages:\n  - {{ name: split, image: {image}, command: [sh, -c, '{split}'] }}\n  - {{ name: all, {gather} image: {image} }}\n",
        image = env.image()
    );
    env.write("many.yaml", spec);
}

fn thousands_of_parts_are_arguments_of_one_command(env: &TestEnv) {
    // More than the 2 MiB that there usually are.
    many_parts(env, 4_500, 230, "gather: all, command: [sh, -c, 'cat \"{in}\"/* | wc -l; ulimit -s'],");
    let up = env.up();
    up.cli(&["run", "-f", "many.yaml", "in", "-o", "out"]).exits(0);
    let lines = env.lines("out/all");
    assert_eq!(lines[0].trim(), "9000");
    assert_eq!(lines[1].trim(), "24576", "the stack has as much as it takes");
    many_parts(env, 10, 10, "gather: all, command: [sh, -c, 'cat \"{in}\"/* | wc -l; ulimit -s'],");
    up.cli(&["run", "-f", "many.yaml", "in", "-o", "few"]).exits(0);
    assert_ne!(env.lines("few/all")[1].trim(), "24576", "where it is not needed nothing is changed");
}

fn parts_are_one_stream_where_that_is_said(env: &TestEnv) {
    let command = "wc -l; set | grep -c WORK_ITEM || true; grep -o path {manifest} | wc -l";
    many_parts(env, 50, 10, &format!("gather: all, parts: stdin, command: [sh, -c, '{command}'],"));
    let up = env.up();
    up.cli(&["run", "-f", "many.yaml", "in", "-o", "out"]).exits(0);
    assert_eq!(env.lines("out/all").iter().map(|line| line.trim()).collect::<Vec<_>>(), ["100", "0", "100"]);
    many_parts(env, 50, 10, "gather: all, parts: stdin, command: [sh, -c, 'cat {in}/*'],");
    up.cli(&["run", "-f", "many.yaml", "in", "-o", "out"]).exits(2).says("there is no directory of parts");
}

fn more_parts_than_arguments_can_be_are_refused_before_anything_runs(env: &TestEnv) {
    let ran = env.shell_path("ran");
    let command = format!("touch {ran}; cat \"{{in}}\"/* | wc -l");
    many_parts(env, 10_000, 240, &format!("gather: all, retry: {{ attempts: 3 }}, command: [sh, -c, '{command}'],"));
    let up = env.up();
    let id = up.submit(&["-f", "many.yaml", "in"]);
    up.cli(&["job", "wait", &id]).exits(3);
    let failure = &up.job(&id)["recent_failures"][0]["failure"];
    let message = failure["message"].as_str().unwrap();
    assert!(message.contains("20000 parts") && message.contains("parts: stdin"), "{message}");
    assert_eq!(up.job(&id)["stages"][1]["failed_attempts"], 1, "no other try would find it otherwise");
    assert!(!env.path("ran").exists());
    many_parts(env, 10_000, 240, "gather: all, command: [sh, -c, 'for part in \"{in}\"/*; do echo; done | wc -l'],");
    up.cli(&["run", "-f", "many.yaml", "in", "-o", "out"]).exits(0);
    assert_eq!(env.lines("out/all")[0].trim(), "20000", "words of a loop are no arguments");
}

fn an_output_never_replaces_an_input(env: &TestEnv) {
    env.write("photos/a", "precious");
    let up = env.up();
    let refused = up.cli(&["run", env.image(), "photos", "-o", "photos", "--", "head", "-c", "3"]).exits(2);
    refused.says("the output of item a would replace photos/a, which is an input").says("-o");
    assert_eq!(
        up.cli(&["job", "ls", "--format", "json"]).exits(0).json().as_array().unwrap().len(),
        0,
        "nothing was submitted"
    );
    // What a command calls its outputs is known only when they are there.
    let chosen = "cp \"{in}\" \"{outdir}/b\"; echo new > \"{outdir}/a\"";
    up.cli(&["run", env.image(), "photos", "-o", "photos", "--", "sh", "-c", chosen])
        .exits(1)
        .says("is an input of this job");
    assert_eq!(env.names("photos"), ["a"], "nothing was written");
    assert_eq!(env.read("photos/a"), "precious");
    up.cli(&["run", env.image(), "photos/a", "-o", ".", "--", "head", "-c", "3"]).exits(0);
    assert_eq!(env.read("a"), "pre", "beside its input an output may lie");
}

fn where_outputs_go_is_no_input_the_next_time(env: &TestEnv) {
    env.write("d/a", "x");
    let up = env.up();
    for run in 0..3 {
        let ran = up.cli(&["run", env.image(), "d", "-o", "d/out", "--", "cat"]).exits(0);
        if run > 0 {
            ran.says("d/out is where outputs go, so what is in it is no input");
        }
        assert_eq!(env.names("d/out"), ["a"]);
    }
}

fn what_is_in_the_way_of_outputs_is_found_before_the_work(env: &TestEnv) {
    env.write("in/a", "1");
    env.write("out/a/b", "2");
    let up = env.up();
    up.cli(&["run", env.image(), "in", "-o", "out", "--", "cat"])
        .exits(2)
        .says("out/a is in the way")
        .says("it is a directory");
    assert_eq!(up.cli(&["job", "ls", "--format", "json"]).exits(0).json().as_array().unwrap().len(), 0);
    up.cli(&["run", env.image(), "in", "-o", "out/a", "--", "cat"]).exits(0);
    assert_eq!(env.names("out/a"), ["a", "b"]);
}

fn lines_are_put_together_and_those_of_windows_are_like_others(env: &TestEnv) {
    env.write("words.txt", (1..=25).map(|n| format!("{n}\r\n")).collect::<String>());
    let up = env.up();
    up.cli(&["run", env.image(), "--each-line", "words.txt", "-N", "10", "-o", "out", "--", "cat"]).exits(0);
    assert_eq!(env.names("out"), ["lines-000001-000010.txt", "lines-000011-000020.txt", "lines-000021-000025.txt"]);
    assert_eq!(env.read("out/lines-000021-000025.txt"), "21\n22\n23\n24\n25\n");
    env.write("d/one", "1");
    let list = format!("{}\r\n", env.text_path("d/one"));
    let typed = ["run", env.image(), "-", "-o", "listed", "--", "cat"];
    up.cli_with_input(&typed, &list).exits(0);
    assert_eq!(env.names("listed"), ["one"]);
    up.cli(&["run", env.image(), "d", "-N", "10", "--", "cat"]).exits(2).says("--each-line");
}

fn inputs_that_cannot_be_used_are_left_out_told_and_counted(env: &TestEnv) {
    env.write("d/good", "1");
    let _socket = std::os::unix::net::UnixListener::bind(env.path("d/socket")).unwrap();
    std::os::unix::fs::symlink("nowhere", env.path("d/dangling")).unwrap();
    let up = env.up();
    up.cli(&["run", env.image(), "d", "-o", "out", "--", "cat"]).exits(2);
    let ran = up.cli(&["run", env.image(), "d", "--skip-unusable", "-o", "out", "--", "cat"]).exits(0);
    ran.says("d/socket is a socket").says("d/dangling").says("2 inputs");
    assert_eq!(env.names("out"), ["good"]);
    fs::remove_file(env.path("d/good")).unwrap();
    up.cli(&["run", env.image(), "d", "--skip-unusable", "--", "cat"]).exits(2).says("no input can be used");
}

fn fields_of_lines_of_json_are_words_of_the_command(env: &TestEnv) {
    env.write("pages.jsonl", "{\"url\": \"a b $(id) '\", \"n\": 7}\n\n{\"url\": \"{in}\", \"n\": [1]}\n");
    let up = env.up();
    let printf = [
        "--each-json",
        "pages.jsonl",
        "-o",
        "out",
        "--env",
        "N={n}",
        "--",
        "sh",
        "-c",
        "echo \"$1 $N\"",
        "sh",
        "{url}",
    ];
    up.cli(&[&["run", env.image()], &printf[..]].concat()).exits(0);
    assert_eq!(env.names("out"), ["line-000001.json", "line-000003.json"]);
    assert_eq!(env.read("out/line-000001.json"), "a b $(id) ' 7\n");
    assert_eq!(env.read("out/line-000003.json"), "{in} [1]\n");
    let lacking = ["run", env.image(), "--each-json", "pages.jsonl", "--", "echo", "{.other}"];
    up.cli(&lacking).exits(2).says("line-000001.json: the line has no field other");
    let script = ["run", env.image(), "--each-json", "pages.jsonl", "--", "sh", "-c", "echo {url}"];
    up.cli(&script).exits(2).says("would become part of a script").says("sh -c");
}
