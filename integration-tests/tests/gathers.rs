//! Gathers by keys, of what came through, and as a tree, through the real binary: they give what the shell gives.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use integration_tests::{on_processes, real::TestEnv};

on_processes! {
    a_keyed_and_partial_pipeline_gives_what_the_shell_gives
    a_retry_gathers_again_what_was_gathered_without_what_it_puts_back
    a_tree_merges_in_levels_and_gives_the_same
    gathers_that_make_no_sense_are_refused_by_name
    outputs_are_gathered_by_what_they_are_called
    an_output_without_a_key_fails_the_gather_by_name_or_is_left_out
    a_retry_groups_outputs_anew
    the_manifest_says_where_parts_come_from_and_what_is_missing
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
    drop(refused("{ of: output }").says("of: output is of keys"));
    drop(refused("{ by: '{dir}', of: output, fan_in: 4 }").says("does not go with keys"));
    drop(refused("{ by: '{dir}', of: output, require: count=9 }").says("the job has 2 inputs"));
    drop(refused("{ by: '{dir}', fan_in: 4 }").says("does not go with keys"));
    drop(refused("{ require: count=9 }").says("the job has 2 inputs"));
    drop(refused("{ match: '(' }").says("no regular expression"));
}

/// Splits each line of the inputs into a file by its first word, and puts the files of a name together.
fn by_word(env: &TestEnv, gather: &str) {
    let fixed = env.shell_path("fixed");
    let split = format!(
        "if grep -q BAD {{in}} && ! test -e {fixed}/now; then exit 7; fi; while read w rest; do echo $rest >> {{outdir}}/$w; done < {{in}}"
    );
    let stages = [
        stage(env, "split", "", &split),
        stage(env, "words", gather, "cat {in}/* > {out}"),
        stage(env, "total", "all", "cat {in}/* > {out}"),
    ];
    env.write("job.yaml", format!("stages:\n{}", stages.concat()));
    env.write("fixed/.keep", "");
}

fn outputs_are_gathered_by_what_they_are_called(env: &TestEnv) {
    env.write("in/1", "sea.txt one\nfog.txt two\n");
    env.write("in/2", "fog.txt three\n");
    env.write("in/3", "ice.txt four\nsea.txt five\n");
    by_word(env, "{ by: '{stem}', of: output }");
    let up = env.up();
    drop(up.cli(&["run", "-f", "job.yaml", "in", "-o", "out"]).exits(0));
    assert_eq!(env.lines("out/total"), ["two", "three", "one", "five", "four"], "by key, and there by input");
    let shown = up.job("last");
    let stages = shown["stages"].as_array().unwrap();
    let counts: Vec<_> =
        stages.iter().map(|stage| (stage["name"].as_str().unwrap(), stage["items"].as_u64().unwrap())).collect();
    assert_eq!(counts, [("split", 3), ("words.groups", 1), ("words", 3), ("total", 1)]);
    drop(up.cli(&["job", "outputs", "last", "--stage", "words", "-o", "words"]).exits(0));
    assert_eq!(
        (env.lines("words/fog"), env.lines("words/ice")),
        (vec!["two".into(), "three".into()], vec!["four".into()])
    );
}

fn an_output_without_a_key_fails_the_gather_by_name_or_is_left_out(env: &TestEnv) {
    env.write("in/1", "sea.txt one\nREADME two\n");
    by_word(env, "{ by: '{ext}', of: output }");
    let up = env.up();
    drop(
        up.cli(&["run", "-f", "job.yaml", "in", "-o", "out"])
            .exits(3)
            .says("output \"README\", of input \"1\", has no key"),
    );
    by_word(env, "{ by: '{ext}', of: output, unmatched: skip }");
    drop(up.cli(&["run", "-f", "job.yaml", "in", "-o", "out"]).exits(0));
    assert_eq!(env.lines("out/total"), ["one"]);
}

fn a_retry_groups_outputs_anew(env: &TestEnv) {
    env.write("in/1", "sea.txt one\n");
    env.write("in/2", "sea.txt BAD\nfog.txt two\n");
    by_word(env, "{ by: '{stem}', of: output, require: any }");
    let up = env.up();
    drop(up.cli(&["run", "-f", "job.yaml", "in", "-o", "out"]).exits(3).says("gathered 1 of 2 inputs"));
    assert_eq!(env.lines("out/total"), ["one"]);
    env.write("fixed/now", "");
    drop(up.cli(&["job", "retry", "last"]).exits(0));
    drop(up.cli(&["job", "wait", "last"]).exits(0));
    drop(up.cli(&["job", "outputs", "last", "-o", "again"]).exits(0));
    assert_eq!(env.lines("again/total"), ["one", "BAD", "two"]);
}

fn the_manifest_says_where_parts_come_from_and_what_is_missing(env: &TestEnv) {
    texts(env);
    env.write("in/c/none", "EMPTY\n");
    let count =
        "if grep -q BAD {in}; then exit 7; fi; if grep -q EMPTY {in}; then exit 9; fi; wc -w < {in} > {outdir}/n";
    let filtered = format!("{}    filter: {{ exit: [9] }}\n", stage(env, "count", "", count));
    for (gather, of_group) in
        [("{ by: '{dir}', require: any }", "a"), ("{ by: '{name}', of: output, require: any }", "n")]
    {
        let dirs = stage(env, "dirs", gather, "cat {manifest} > {out}");
        env.write("job.yaml", format!("stages:\n{filtered}{dirs}"));
        let up = env.up();
        drop(up.cli(&["run", "-f", "job.yaml", "in", "-o", of_group]).exits(3));
        let read = |path: String| -> serde_json::Value { serde_json::from_str(&env.lines(&path).concat()).unwrap() };
        let inputs = |told: &serde_json::Value| -> Vec<String> {
            told.as_array().unwrap().iter().map(|it| it["input"].as_str().unwrap().to_owned()).collect()
        };
        let failed =
            serde_json::json!({ "input": "a/two", "stage": "count", "why": "failed", "class": "exit", "code": 7 });
        let empty = serde_json::json!({ "input": "c/none", "stage": "count", "why": "filtered" });
        if of_group == "a" {
            let (a, c) = (read("a/a".into()), read("a/c".into()));
            assert_eq!((inputs(&a["parts"]), &a["missing"]), (vec!["a/one".to_owned()], &serde_json::json!([failed])));
            assert_eq!(inputs(&c["parts"]), ["c/one", "c/two"]);
            assert_eq!((&c["missing"], &c["missing_inputs"]), (&serde_json::json!([empty]), &1.into()));
        } else {
            let all = read("n/n".into());
            assert_eq!(inputs(&all["parts"]), ["a/one", "b/one", "c/one", "c/two"]);
            assert_eq!((&all["missing"], &all["missing_inputs"]), (&serde_json::json!([failed, empty]), &2.into()));
        }
    }
}
