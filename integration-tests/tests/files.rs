//! Files as programs know them: what may be executed, links, directories.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::{fs, os::unix::fs::PermissionsExt};

use integration_tests::{on_both_runtimes, real::TestEnv};

on_both_runtimes! {
    a_program_stays_one_on_its_way_in_between_stages_and_out
    links_among_outputs_are_followed_refused_or_left_out
    empty_directories_are_said_in_the_log
    small_files_are_sent_along_with_a_spec
    small_files_are_sent_along_with_flags_and_what_cannot_be_is_told
}

/// Writes a file that its owner may execute.
fn program(env: &TestEnv, below: &str, bytes: impl AsRef<[u8]>) {
    env.write(below, bytes);
    fs::set_permissions(env.path(below), fs::Permissions::from_mode(0o700)).unwrap();
}

fn is_executable(env: &TestEnv, below: &str) -> bool {
    fs::metadata(env.path(below)).unwrap().permissions().mode() & 0o100 != 0
}

fn a_program_stays_one_on_its_way_in_between_stages_and_out(env: &TestEnv) {
    const SAYS: &str = "#!/bin/sh\necho \"it runs\"\nexit\n";
    program(env, "in/small", SAYS);
    // Too large to travel along: it goes through caches, links and doors.
    program(env, "in/large", format!("{SAYS}{}", "#".repeat(200_000)));
    env.write("in/plain", SAYS);
    let up = env.up();
    let spec = r#"
stages:
  - { name: run, image: IMAGE, command: [sh, -c, 'if test -x {in}; then {in} > {outdir}/{name}.said; fi; cp {in} {outdir}/{name}'] }
  - { name: again, image: IMAGE, command: [sh, -c, 'if test -x {in}; then {in} > {outdir}/{name}.twice; fi; cp {in} {outdir}/{name}'] }
"#;
    env.write("programs.yaml", spec.replace("IMAGE", env.image()));
    up.cli(&["run", "-f", "programs.yaml", "in", "-o", "out"]).exits(0);
    let names = ["large", "large.said", "large.twice", "plain", "small", "small.said", "small.twice"];
    assert_eq!(env.names("out"), names);
    for name in names {
        assert_eq!(is_executable(env, &format!("out/{name}")), matches!(name, "large" | "small"), "{name}");
        if name.contains('.') {
            assert_eq!(env.read(&format!("out/{name}")), "it runs\n", "{name}");
        }
    }
    let listed = up.cli(&["job", "outputs", "last", "--format", "json"]).exits(0).json();
    let programs = listed.as_array().unwrap().iter().filter(|output| output["executable"] == true);
    assert_eq!(programs.map(|output| output["path"].as_str().unwrap()).collect::<Vec<_>>(), ["large", "small"]);

    // The parts of a gather, and what standard output becomes.
    let gather = r#"
stages:
  - { name: copy, image: IMAGE, command: [sh, -c, 'cp {in} {out}'] }
  - { name: all, gather: all, image: IMAGE, command: [sh, -c, 'for part in {in}/*; do if test -x $part; then $part; else echo no; fi; done'] }
"#;
    env.write("gather.yaml", gather.replace("IMAGE", env.image()));
    up.cli(&["run", "-f", "gather.yaml", "in", "-o", "all"]).exits(0);
    assert_eq!(env.read("all/all"), "it runs\nno\nit runs\n");
    assert!(!is_executable(env, "all/all"));
}

fn links_among_outputs_are_followed_refused_or_left_out(env: &TestEnv) {
    env.write("in/a", "data");
    let up = env.up();
    let make =
        |links: &str| format!("cd {{outdir}}; mkdir d; cp {{in}} one; head -c 200000 /dev/zero > d/large; {links}");
    let run = |links: &str, more: &[&str]| {
        let words = ["run", env.image(), "in", "-o", "out"];
        up.cli(&[&words, more, &["--", "sh", "-c", &make(links)]].concat())
    };
    run("ln -s one two; ln -s ../two d/three; ln -s {outdir}/d/large four; ln one hard; ln d/large d/hard", &[])
        .exits(0);
    let outputs = env.tree("out");
    let sizes: Vec<_> = outputs.iter().map(|(path, bytes)| (path.as_str(), bytes.len())).collect();
    let expected = [
        ("d/hard", 200_000),
        ("d/large", 200_000),
        ("d/three", 4),
        ("four", 200_000),
        ("hard", 4),
        ("one", 4),
        ("two", 4),
    ];
    assert_eq!(sizes, expected);
    assert_eq!([&outputs["two"], &outputs["d/three"], &outputs["hard"]], [b"data"; 3]);

    let refused = run("ln -s /etc/passwd two", &[]).exits(3);
    refused.says("\"two\" is a link to \"/etc/passwd\", which leads out of the output directory (`links: skip` leaves");
    run("ln -s one two", &["--links", "refuse"]).exits(3).says("\"two\" is a symbolic link (`links: refuse`)");
    fs::remove_dir_all(env.path("out")).unwrap();
    run("ln -s /etc/passwd two", &["--links", "skip"]).exits(0);
    assert_eq!(env.names("out"), ["d/large", "one"]);
    let logs = up.cli(&["logs", "last", "-q"]).exits(0);
    assert_eq!(logs.stderr, "longshore: a link is left out: \"two\"\n");
}

fn empty_directories_are_said_in_the_log(env: &TestEnv) {
    env.write("in/a", "data");
    let up = env.up();
    let script = "printf 'its own words' >&2; cd {outdir}; mkdir -p a b/c; cp {in} b/one";
    up.cli(&["run", env.image(), "in", "-o", "out", "--", "sh", "-c", script]).exits(0);
    assert_eq!(env.names("out"), ["b/one"]);
    let logs = up.cli(&["logs", "last", "-q"]).exits(0).stderr;
    assert!(logs.starts_with("its own words\nlongshore: 2 empty directories are not kept: \""), "{logs}");
    assert!(logs.contains("\"a\"") && logs.contains("\"b/c\""), "{logs}");
}

fn small_files_are_sent_along_with_a_spec(env: &TestEnv) {
    env.write("in/a", "1");
    // The spec is elsewhere than where the command is typed; one of its files is too large to be a small blob.
    env.write("work/lib/word", "first");
    env.write("work/large", "x".repeat(100_000));
    program(env, "work/scripts/run.sh", "#!/bin/sh\ncat \"${0%/*}/lib/word\"; wc -c < \"$LONGSHORE_FILES/large\"");
    let spec = r#"
stages:
  - name: run
    image: IMAGE
    files: { run.sh: scripts/run.sh, lib/word: lib/word, large: large }
    command: [sh, -c, 'if touch {files}/new 2> $TMPDIR/why; then echo written; fi; exec {files}/run.sh']
  - name: again
    image: IMAGE
    files: [lib/word]
    command: [sh, -c, 'cat {in} {files}/lib/word; ls {files}']
"#;
    env.write("work/job.yaml", spec.replace("IMAGE", env.image()));
    let up = env.up();
    let written = if env.has_docker() { "" } else { "written\n" };
    for word in ["first", "second"] {
        // Another script is another container, though the image is the same.
        env.write("work/lib/word", word);
        up.cli(&["run", "-f", "work/job.yaml", "in", "-o", "out"]).exits(0);
        assert_eq!(env.read("out/a"), format!("{written}{word}100000\n{word}lib\n"));
    }
    let dry = up.cli(&["run", "-f", "work/job.yaml", "in", "--dry-run", "--format", "json"]).exits(0).json();
    assert_eq!(dry["stages"][1]["files"], serde_json::json!(["lib/word"]));

    let service = r#"
name: find
leaf: { image: IMAGE, shards: 2, files: [leaf.sh], command: ["{files}/leaf.sh"] }
merge: { image: IMAGE, files: { bin/join: join.sh }, command: ["{files}/bin/join", "{in}"] }
"#;
    program(env, "work/leaf.sh", "#!/bin/sh\necho shard $LONGSHORE_SHARD");
    program(env, "work/join.sh", "#!/bin/sh\ncat \"$1\"/*");
    env.write("work/service.yaml", service.replace("IMAGE", env.image()));
    up.cli(&["service", "deploy", "work/service.yaml"]).exits(0);
    assert_eq!(up.cli(&["query", "find", "-d", "x"]).exits(0).stdout, "shard 0\nshard 1\n");
    up.cli(&["service", "rm", "find"]).exits(0);
}

fn small_files_are_sent_along_with_flags_and_what_cannot_be_is_told(env: &TestEnv) {
    env.write("in/a", "1");
    program(env, "tool.sh", "#!/bin/sh\ncat \"$1\"; echo ran");
    env.write("large", "x".repeat((1 << 20) + 1));
    env.write("job.yaml", "stages:\n  - name: run\n    image: x\n    files: [absent.py]\n");
    let up = env.up();
    let words = |sent: &'static str| ["run", env.image(), "in", "-o", "out", "--send", sent, "--", "{files}/t", "{in}"];
    up.cli(&words("tool.sh:t")).exits(0);
    assert_eq!(env.read("out/a"), "1ran\n");
    up.cli(&words("absent:t")).exits(2).says("--send: cannot read absent: No such file");
    up.cli(&words("large:t")).exits(2).says("large is larger than 1048576 bytes");
    up.cli(&words("tool.sh:../t")).exits(2).says("cannot be");
    up.cli(&["run", "-f", "job.yaml", "in"]).exits(2).says("job.yaml:4:12: cannot read absent.py: No such file");
}
