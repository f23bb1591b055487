//! Namespaces through the real binary: the same commands beside one another, and nothing of one to be found in another.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use integration_tests::{
    on_both_runtimes,
    real::{Ran, Server, TestEnv, until},
};

fn with(up: &Server, namespace: &str, args: &[&str]) -> Ran {
    up.cli(&[&["--namespace", namespace], args].concat())
}

/// One small file and one that goes through the door.
fn files(env: &TestEnv) {
    env.write("files/small", "a few bytes\n");
    env.write("files/large", "many bytes\n".repeat(20_000));
}

fn ids(ran: Ran) -> Vec<String> {
    ran.exits(0).stdout.lines().map(str::to_owned).collect()
}

on_both_runtimes! {
    jobs_of_two_namespaces_are_done_beside_one_another
    nothing_of_another_namespace_is_found
    a_service_of_the_same_name_answers_in_each
    a_warm_container_is_for_one_namespace
}

fn jobs_of_two_namespaces_are_done_beside_one_another(env: &TestEnv) {
    files(env);
    let up = env.up();
    let copy = ["run", env.image(), "files", "-o", "out", "--", "sh", "-c", "cat {in} {in} > {out}"];
    let expected = env.tree("files").into_iter().map(|(name, bytes)| (name, [bytes.clone(), bytes].concat())).collect();
    for (namespace, out) in [("default", "of-default"), ("vision", "of-vision"), ("audio", "of-audio")] {
        let mut args = copy;
        args[4] = out;
        with(&up, namespace, &args).exits(0);
        assert_eq!(env.tree(out), expected, "{namespace}");
    }
    assert!(env.path("data/coordinator/rooms/vision").is_dir() && env.path("data/coordinator/rooms/audio").is_dir());
    assert_eq!(ids(up.cli(&["job", "ls", "-q"])).len(), 1);
    assert_eq!(ids(with(&up, "vision", &["job", "ls", "-q"])).len(), 1);
    let all = up.cli(&["job", "ls", "--all-namespaces"]).exits(0);
    assert!(["NAMESPACE", "default", "vision", "audio"].iter().all(|word| all.stdout.contains(word)), "{all}");
    up.kill();
    let up = env.up();
    with(&up, "vision", &["job", "outputs", "last", "-o", "again"]).exits(0);
    assert_eq!(env.tree("again"), expected, "after a restart");
    with(&up, "none", &["job", "outputs", "last"]).exits(2).says("there are no jobs yet");
    if env.has_docker() {
        until("the earlier life's containers are gone", || env.containers().is_empty().then_some(()));
    }
}

fn nothing_of_another_namespace_is_found(env: &TestEnv) {
    files(env);
    let up = env.up();
    with(&up, "vision", &["run", env.image(), "files/small", "-o", "out", "--", "cat"]).exits(0);
    let theirs = ids(with(&up, "vision", &["job", "ls", "-q"])).remove(0);
    let nobodys = "0198c2aa-0000-7000-8000-000000000000";
    for command in ["show", "watch", "wait", "cancel", "retry", "logs", "outputs"] {
        let told = [&theirs, nobodys].map(|id| {
            let ran = up.cli(&["job", command, id]).exits(2);
            (ran.stdout, ran.stderr.replace(id, "ID"))
        });
        assert_eq!(told[0], told[1], "{command}");
        assert!(told[0].1.contains("no job ID"), "{command}: {}", told[0].1);
    }
    assert!(ids(up.cli(&["job", "ls", "-q"])).is_empty());
    let shown = with(&up, "vision", &["job", "show", "last"]).exits(0);
    assert!(shown.stdout.contains("vision"), "{shown}");
    with(&up, "No!", &["job", "ls"]).exits(2).says("is not the name of a namespace");
}

fn a_service_of_the_same_name_answers_in_each(env: &TestEnv) {
    for word in ["eyes", "ears"] {
        env.write(&format!("{word}/file"), word);
        let leaf = format!("leaf: {{ image: {}, command: [sh, -c, 'cat {{data}}/*'], data: ./{word} }}", env.image());
        env.write(&format!("{word}.yaml"), format!("name: find\n{leaf}\n"));
    }
    let up = env.up();
    with(&up, "vision", &["service", "deploy", "eyes.yaml"]).exits(0);
    with(&up, "audio", &["service", "deploy", "ears.yaml"]).exits(0);
    assert_eq!(with(&up, "vision", &["query", "find", "-d", "x"]).exits(0).stdout, "eyes");
    assert_eq!(with(&up, "audio", &["query", "find", "-d", "x"]).exits(0).stdout, "ears");
    up.cli(&["query", "find", "-d", "x"]).exits(2).says("no service \"find\"");
    up.cli(&["service", "rm", "find"]).exits(2).says("no service \"find\"");
    with(&up, "audio", &["service", "rm", "find"]).exits(0);
    assert_eq!(with(&up, "vision", &["query", "find", "-d", "x"]).exits(0).stdout, "eyes");
}

/// Finding 2 of long ago: `id` of somebody else ran in 15 ms, in a container that was warm from others' items.
fn a_warm_container_is_for_one_namespace(env: &TestEnv) {
    files(env);
    let up = env.up();
    let mut shims = Vec::new();
    for (number, namespace) in ["default", "vision", "default", "vision"].iter().enumerate() {
        let out = format!("shim-{number}");
        // On processes the shim is the parent; a container has its name for a host.
        let who = "cat /proc/sys/kernel/hostname; echo $PPID";
        with(&up, namespace, &["run", env.image(), "files/small", "-o", &out, "--", "sh", "-c", who]).exits(0);
        shims.push(env.read(&format!("{out}/small")));
    }
    let is_shared = shims[0] == shims[1] || shims[0] == shims[3] || shims[2] == shims[1] || shims[2] == shims[3];
    assert!(!is_shared, "{shims:#?}");
}
