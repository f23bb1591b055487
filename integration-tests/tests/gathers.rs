//! Gathers by keys, of what came through, and as a tree, through the real binary: they give what the shell gives.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use integration_tests::{on_processes, real::TestEnv};

on_processes! {
    a_keyed_and_partial_pipeline_gives_what_the_shell_gives
    a_retry_gathers_again_what_was_gathered_without_what_it_puts_back
    a_tree_merges_in_levels_and_gives_the_same
    gathers_that_make_no_sense_are_refused_by_name
}

/// A stage of a shell's command line, which may have any quotes.
fn stage(env: &TestEnv, name: &str, gather: &str, script: &str) -> String {
    let image = env.image();
    let gather = if gather.is_empty() { String::new() } else { format!("    gather: {gather}\n") };
    format!(
        "  - name: {name}\n{gather}    image: {image}\n    command:\n      - sh\n      - -c\n      - |\n        {script}\n"
    )
}

/// Counts words, by directory, and in all. An input that says so fails, as long as a file is not there.
fn pipeline(env: &TestEnv, require: &str) {
    let fixed = env.shell_path("fixed");
    let count = format!("if grep -q BAD {{in}} && ! test -e {fixed}/now; then exit 7; fi; wc -w < {{in}} > {{out}}");
    let stages = [
        stage(env, "count", "", &count),
        stage(
            env,
            "dirs",
            &format!("{{ by: '{{dir}}', require: {require} }}"),
            "cat {in}/* | awk '{n += $1} END {print n + 0}' > {out}",
        ),
        stage(env, "total", "all", "cat {in}/* > {out}"),
    ];
    env.write("job.yaml", format!("stages:\n{}", stages.concat()));
}

fn texts(env: &TestEnv) {
    env.write("fixed/.keep", "");
    env.write("in/a/one", "a b c\n");
    env.write("in/a/two", "d e BAD\n");
    env.write("in/b/one", "f\n");
    env.write("in/c/one", "g h\n");
    env.write("in/c/two", "i j k l\n");
}

fn a_keyed_and_partial_pipeline_gives_what_the_shell_gives(env: &TestEnv) {
    texts(env);
    pipeline(env, "0.5");
    let up = env.up();
    drop(up.cli(&["run", "-f", "job.yaml", "in", "-o", "out"]).exits(3).says("gathered 4 of 5 inputs"));
    assert_eq!(env.lines("out/total"), ["3", "1", "6"], "in the order of the inputs, without the one that failed");
    let shown = up.job("last");
    let gathered = &shown["stages"][1]["gathered"];
    assert_eq!((&gathered["inputs"], &gathered["of"], &gathered["groups"]), (&4.into(), &5.into(), &3.into()));

    pipeline(env, "all");
    drop(up.cli(&["run", "-f", "job.yaml", "in", "-o", "none"]).exits(3).says("1 of 3 groups were short"));
    let shown = up.job("last");
    assert_eq!((&shown["stages"][1]["succeeded"], &shown["stages"][2]["items"]), (&2.into(), &0.into()));
}

fn a_retry_gathers_again_what_was_gathered_without_what_it_puts_back(env: &TestEnv) {
    texts(env);
    pipeline(env, "any");
    let up = env.up();
    drop(up.cli(&["run", "-f", "job.yaml", "in", "-o", "out"]).exits(3));
    assert_eq!(env.lines("out/total"), ["3", "1", "6"]);
    env.write("fixed/now", "");
    drop(up.cli(&["job", "retry", "last"]).exits(0));
    drop(up.cli(&["job", "wait", "last"]).exits(0));
    drop(up.cli(&["job", "outputs", "last", "-o", "again"]).exits(0));
    assert_eq!(env.lines("again/total"), ["6", "1", "6"]);
}

fn a_tree_merges_in_levels_and_gives_the_same(env: &TestEnv) {
    for number in 0..11 {
        env.write(&format!("in/{number:02}"), format!("{number}\n"));
    }
    let stages =
        [stage(env, "copy", "", "cat {in} > {out}"), stage(env, "total", "{ fan_in: 3 }", "cat {in}/* > {out}")];
    env.write("job.yaml", format!("stages:\n{}", stages.concat()));
    let up = env.up();
    drop(up.cli(&["run", "-f", "job.yaml", "in", "-o", "out"]).exits(0));
    let wanted: Vec<String> = (0..11).map(|number: u32| number.to_string()).collect();
    assert_eq!(env.lines("out/total"), wanted);
    let shown = up.job("last");
    let names: Vec<&str> =
        shown["stages"].as_array().unwrap().iter().map(|stage| stage["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["copy", "total.1", "total.2", "total"]);
    assert_eq!((&shown["stages"][1]["items"], &shown["stages"][2]["items"]), (&4.into(), &2.into()));
}

fn gathers_that_make_no_sense_are_refused_by_name(env: &TestEnv) {
    env.write("in/one", "");
    env.write("in/d/two.txt", "");
    let image = env.image();
    let up = env.up();
    let refused = |gather: &str| {
        let stage = format!("image: {image}\n    command: ['true']\n");
        env.write(
            "bad.yaml",
            format!("stages:\n  - name: one\n    {stage}  - name: two\n    gather: {gather}\n    {stage}"),
        );
        up.cli(&["run", "-f", "bad.yaml", "in"]).exits(2)
    };
    drop(refused("{ by: '{outdir}' }").says("which is nothing of a path"));
    drop(refused("{ by: '{ext}' }").says("has no key; unmatched: skip"));
    drop(refused("{ by: '{dir}', of: output }").says("output"));
    drop(refused("{ by: '{dir}', fan_in: 4 }").says("does not go with keys"));
    drop(refused("{ require: count=9 }").says("the job has 2 inputs"));
    drop(refused("{ match: '(' }").says("no regular expression"));
}
