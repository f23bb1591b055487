//! Seeing and naming, through the real binary: what jobs can be called by, and what is shown of them.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use integration_tests::{
    on_processes,
    real::{Ran, Server, TestEnv, until},
};
use serde_json::Value;

fn inputs(env: &TestEnv, count: usize) {
    for number in 0..count {
        env.write(&format!("in/{number:02}"), format!("input {number}\n"));
    }
}

/// A job that waits until the test opens the gate.
fn gated(env: &TestEnv, up: &Server, name: &str) -> String {
    let wait = format!("until test -e {}; do sleep 0.02; done", env.shell_path("gate"));
    up.submit(&["--name", name, "any", "in", "--", "sh", "-c", &wait])
}

fn ended(up: &Server, name: &str) -> String {
    let id = up.submit(&["--name", name, "any", "in", "--", "cat"]);
    up.cli(&["wait", &id]).exits(0);
    id
}

/// The id of the job that this means.
fn meant(up: &Server, asked: &str) -> String {
    let shown = up.cli(&["job", "show", asked, "--format", "json"]).exits(0).json();
    shown["id"].as_str().unwrap().to_owned()
}

on_processes! {
    a_job_is_found_by_what_tables_show_by_its_name_and_as_the_last
    what_means_several_jobs_names_them_and_does_nothing
    listings_are_narrowed_by_state_name_time_and_number
    items_are_listed_with_their_workers_tries_and_ends
    what_happened_to_a_job_is_told_in_order_and_followed_to_its_end
    logs_are_followed_to_the_end_of_the_job_and_are_values_for_programs
    outputs_of_any_stage_are_had_of_failed_jobs_too_and_on_standard_output
    an_item_is_replayed_here_and_everything_of_it_is_kept
}

fn a_job_is_found_by_what_tables_show_by_its_name_and_as_the_last(env: &TestEnv) {
    inputs(env, 1);
    let up = env.up();
    let (first, second, third) = (ended(&up, "count"), ended(&up, "count"), ended(&up, "other"));
    let table = up.cli(&["ps"]).exits(0).stdout;
    for id in [&first, &second, &third] {
        let short = &id[id.len() - 8..];
        assert!(table.lines().any(|line| line.starts_with(short)) && !table.contains(id.as_str()), "{table}");
        assert_eq!(&meant(&up, short), id);
        assert_eq!(&meant(&up, &id.to_uppercase()), id);
    }
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    assert_eq!((meant(&up, "count"), meant(&up, "other"), meant(&up, "last")), (second.clone(), third.clone(), third));
    up.cli(&["logs", "nobody"]).exits(2).says("no job nobody").says("longshore job ls");
    up.kill();
    assert_eq!(meant(&env.up(), "count"), second);
}

fn what_means_several_jobs_names_them_and_does_nothing(env: &TestEnv) {
    inputs(env, 1);
    let up = env.up();
    let ids = [gated(env, &up, "count"), gated(env, &up, "count")];
    let refused = up.cli(&["cancel", "count"]).exits(2).says("\"count\" means more than one job");
    for id in &ids {
        assert!(refused.stderr.contains(&format!("{id}  running")), "{refused}");
    }
    up.cli(&["cancel", &ids[0][..2]]).exits(2).says("means more than one job");
    up.cli(&["job", "ls", "--state", "cancelled", "-q"]).exits(0);
    up.cli(&["cancel", &ids[0]]).exits(0);
    up.cli(&["cancel", "count"]).exits(0);
    assert_eq!(up.cli(&["job", "ls", "--state", "cancelled", "-q"]).exits(0).stdout.lines().count(), 2);
}

fn listings_are_narrowed_by_state_name_time_and_number(env: &TestEnv) {
    inputs(env, 1);
    let up = env.up();
    let (count, other) = (ended(&up, "count-words"), gated(env, &up, "other"));
    let listed = |flags: &[&str]| up.cli(&[&["job", "ls", "-q"], flags].concat()).exits(0).stdout;
    let (only_count, only_other) = (format!("{count}\n"), format!("{other}\n"));
    assert_eq!(listed(&[]), format!("{other}\n{count}\n"));
    assert_eq!(listed(&["--state", "succeeded"]), only_count);
    assert_eq!(listed(&["--state", "running", "--state", "failed"]), only_other);
    assert_eq!(listed(&["--name", "words"]), only_count);
    assert_eq!(listed(&["--limit", "1"]), only_other);
    assert_eq!(listed(&["--since", "1h"]).lines().count(), 2);
    assert_eq!(listed(&["--since", "1ms"]), "");
    let wide = up.cli(&["ps", "--format", "wide"]).exits(0).stdout;
    assert!(wide.contains(&count) && wide.contains(&other), "{wide}");
    up.cli(&["cancel", "other"]).exits(0);
}

/// `00` fails, `01` succeeds, and `02` waits for the gate.
fn of_three_kinds(env: &TestEnv) -> String {
    let gate = env.shell_path("gate");
    format!(
        "echo out {{name}}; echo err {{name}} >&2; case {{name}} in 00) exit 3;; 02) until test -e {gate}; do sleep 0.02; done;; \
         esac; cat \"{{in}}\" > \"{{out}}\""
    )
}

fn field<'a>(values: &'a [Value], name: &str) -> Vec<&'a str> {
    values.iter().map(|value| value[name].as_str().unwrap_or_default()).collect()
}

fn list(ran: Ran) -> Vec<Value> {
    ran.exits(0).json().as_array().unwrap().clone()
}

fn by_line(ran: Ran) -> Vec<Value> {
    ran.exits(0).stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn items_are_listed_with_their_workers_tries_and_ends(env: &TestEnv) {
    inputs(env, 4);
    let up = env.up_with_slots(1);
    let id = up.submit(&["any", "in", "--", "sh", "-c", &of_three_kinds(env)]);
    let items = until("the third item to run", || {
        let items = list(up.cli(&["job", "items", &id, "--format", "json"]));
        (items[2]["state"] == "running").then_some(items)
    });
    assert_eq!(field(&items, "path"), ["00", "01", "02", "03"]);
    assert_eq!(field(&items, "state"), ["failed", "succeeded", "running", "pending"]);
    assert_eq!((&items[0]["attempts"], &items[0]["failure"]["code"]), (&1.into(), &3.into()));
    assert!(items[1]["took_s"].as_f64().unwrap() >= 0.0 && items[1]["outputs"][0]["size_bytes"] == 8, "{items:?}");
    assert!(items[2]["since"].is_string() && items[2]["worker"] == items[1]["worker"], "{items:?}");
    let paths = |flags: &[&str]| up.cli(&[&["job", "items", &id, "-q"], flags].concat()).exits(0).stdout;
    assert_eq!(
        (paths(&["--state", "running"]), paths(&["--state", "pending"])),
        ("02\n".to_owned(), "03\n".to_owned())
    );
    assert_eq!((paths(&["--limit", "2"]), paths(&["03", "01"])), ("00\n01\n".to_owned(), "01\n03\n".to_owned()));
    let table = up.cli(&["job", "items", &id]).exits(0).stdout;
    assert!(table.contains("exit 3") && table.lines().all(|line| line.chars().count() <= 80), "{table}");
    assert_eq!(by_line(up.cli(&["job", "items", &id, "--state", "failed", "--format", "jsonl"])).len(), 1);
    assert_eq!(list(up.cli(&["job", "items", &id, "--state", "filtered", "--format", "json"])), Vec::<Value>::new());
    up.cli(&["job", "items", &id, "nothing"]).exits(2).says("no such items");
    up.cli(&["job", "items", &id, "--stage", "nothing"]).exits(2).says("has no stage");
    env.write("gate", "");
    up.cli(&["wait", &id]).exits(3);
}

fn what_happened_to_a_job_is_told_in_order_and_followed_to_its_end(env: &TestEnv) {
    inputs(env, 3);
    let up = env.up();
    let id = up.submit(&["any", "in", "--", "sh", "-c", &of_three_kinds(env)]);
    let followed = up.begin(&["job", "events", &id, "--follow", "--format", "jsonl"]);
    up.until_committed(&id, 1);
    env.write("gate", "");
    up.cli(&["wait", &id]).exits(3);
    let events = by_line(followed.ended());
    assert_eq!(field(&events, "event"), ["submitted", "began", "attempt-failed", "stage-ended", "ended"]);
    let failed = &events[2];
    assert_eq!(
        (&failed["item"], &failed["attempt"], &failed["message"]),
        (&"00".into(), &1.into(), &"exit code 3".into())
    );
    assert_eq!((&events[0]["count"], &events[4]["count"]), (&3.into(), &1.into()));
    up.cli(&["job", "retry", &id]).exits(0);
    up.cli(&["wait", &id]).exits(3);
    let events = list(up.cli(&["job", "events", &id, "--format", "json"]));
    assert_eq!(field(&events, "event")[5..], ["retried", "attempt-failed", "stage-ended", "ended"]);
    let submitted = events[0]["at"].clone();
    up.stop();
    let up = env.up();
    let ran = up.cli(&["job", "events", &id, "--format", "json"]).says("older events are not kept");
    let events = list(ran);
    assert_eq!((field(&events, "event"), &events[0]["at"]), (vec!["submitted", "ended"], &submitted));
}

fn logs_are_followed_to_the_end_of_the_job_and_are_values_for_programs(env: &TestEnv) {
    inputs(env, 3);
    let up = env.up();
    let id = up.submit(&["any", "in", "--", "sh", "-c", &of_three_kinds(env)]);
    up.until_committed(&id, 1);
    let followed = up.begin(&["logs", &id, "--follow"]);
    until("what ended before to be shown", || followed.said().contains("err 01").then_some(()));
    env.write("gate", "");
    let ran = followed.ended().exits(0).says("02 (attempt 1 ended on").says("err 02").says("exit code 3");
    let mut lines: Vec<&str> = ran.stdout.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["out 00", "out 01", "out 02"]);
    up.cli(&["wait", &id]).exits(3);
    let values = by_line(up.cli(&["logs", &id, "--format", "json"]));
    assert_eq!(field(&values, "stdout"), ["out 00\n", "out 01\n", "out 02\n"]);
    assert_eq!(field(&values, "stderr"), ["err 00\n", "err 01\n", "err 02\n"]);
    assert_eq!((&values[0]["end"], &values[1]["end"]), (&"exit 3".into(), &Value::Null));
    let only = up.cli(&["logs", &id, "02", "01", "--stdout"]).exits(0);
    assert_eq!(only.stdout, "out 01\nout 02\n");
    assert!(!only.stderr.contains("err"), "{only}");
    assert_eq!(up.cli(&["logs", &id, "--stderr", "--failed"]).exits(0).says("err 00").stdout, "");
    let many = up.submit(&["any", "in/00", "--", "sh", "-c", "seq 100; cat \"{in}\" > \"{out}\""]);
    up.cli(&["wait", &many]).exits(0);
    assert_eq!(up.cli(&["logs", &many, "--tail", "2"]).exits(0).stdout, "99\n100\n");
    up.cli(&["logs", &id, "nothing"]).exits(2).says("no such item: nothing");
}

fn outputs_of_any_stage_are_had_of_failed_jobs_too_and_on_standard_output(env: &TestEnv) {
    inputs(env, 3);
    let spec = r#"
name: two
stages:
  - { name: copy, image: any, command: [sh, -c, 'test {name} != 00 && cat "{in}" > "{out}"'] }
  - { name: never, image: any, command: [sh, -c, 'exit 1'] }
"#;
    env.write("two.yaml", spec);
    let up = env.up();
    let id = up.submit(&["-f", "two.yaml", "in"]);
    up.cli(&["wait", &id]).exits(3);
    up.cli(&["job", "outputs", &id]).exits(0).says("try --stage copy");
    let copied = up.cli(&["job", "outputs", "two", "--stage", "copy", "-o", "-"]).exits(0);
    assert_eq!(copied.stdout, "input 1\ninput 2\n");
    let one = up.cli(&["job", "outputs", &id, "02", "--stage", "copy", "--output", "-"]).exits(0);
    assert_eq!(one.stdout, "input 2\n");
    up.cli(&["job", "outputs", &id, "--stage", "copy", "-o", "fetched"]).exits(0);
    assert_eq!(env.names("fetched"), ["01", "02"]);
    let listed = list(up.cli(&["job", "outputs", &id, "--stage", "copy", "--format", "json"]));
    assert_eq!((field(&listed, "path"), &listed[0]["size_bytes"]), (vec!["01", "02"], &8.into()));
}

fn an_item_is_replayed_here_and_everything_of_it_is_kept(env: &TestEnv) {
    inputs(env, 2);
    env.write("sent.sh", "echo err {name} >&2; cat \"$1\"; test \"$WHO\" = ann; test \"$2\" != 00 || exit 7");
    env.write("pw", "pass\n");
    let up = env.up();
    up.cli_with_input(&["secret", "put", "pw"], "other").exits(0);
    let script = "sh {files}/sent.sh {in} {name} > {out}";
    let flags = [
        "--name", "count", "--send", "sent.sh", "-e", "WHO=ann", "--secret", "pw", "any", "in", "--", "sh", "-c",
        script,
    ];
    let id = up.submit(&flags);
    up.cli(&["wait", &id]).exits(3);
    let replay = |args: &[&str]| {
        let own = ["--runtime", "process", "--allow-commands-as-root"];
        up.cli(&[&["job", "replay", "count"][..], &own[..], args].concat())
    };
    replay(&["00", "--keep", "failed"]).exits(3).says("it failed here").says("exit 7").says("without the secrets pw");
    assert_eq!(env.read("failed/input/00"), "input 0\n");
    assert!(env.read("failed/stderr.log").contains("err"));
    assert!(env.read("failed/replay.txt").contains("sent.sh"));
    replay(&["01", "--keep", "good", "--secret", "pw=pw"]).exits(0).says("it succeeded here");
    assert_eq!(env.read("good/outputs/01"), "input 1\n");
    assert!(!env.path("good/.worker").exists());
    let told = "printf '%s' \"$PW\" | wc -c > {out}";
    replay(&["01", "--keep", "other", "--secret", "pw=pw", "--", "sh", "-c", told]).exits(0);
    assert_eq!(env.read("other/outputs/01").trim(), "4", "a variable has no line end");
    replay(&["01", "--keep", "good"]).exits(2).says("is not empty");
    replay(&["nothing"]).exits(2).says("has no item nothing");
}
