//! Secrets through the real binary: given to processes, and nowhere else to be found.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::{collections::BTreeMap, fs, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use integration_tests::{
    on_both_runtimes, on_docker,
    real::{Ran, Server, TestEnv, until},
};
use walkdir::WalkDir;

/// A value that is nowhere by chance.
fn canary() -> String {
    format!("canary-{}", uuid::Uuid::new_v4().simple())
}

fn put(up: &Server, name: &str, value: &str) {
    let ran = up.cli_with_input(&["secret", "put", name], value).exits(0);
    assert!(!format!("{ran}").contains(value), "{ran}");
}

/// A run that needs these secrets, of one small file into a directory.
fn run(up: &Server, env: &TestEnv, flags: &[&str], out: &str, script: &str) -> Ran {
    env.write("files/small", "a few bytes\n");
    let begin = ["run", env.image(), "files/small", "-o", out];
    up.cli(&[&begin[..], flags, &["--", "sh", "-c", script]].concat())
}

/// What a value may be found as.
fn forms(value: &str) -> [Vec<u8>; 2] {
    [value.into(), STANDARD_NO_PAD.encode(value).into()]
}

fn has(bytes: &[u8], forms: &[Vec<u8>]) -> bool {
    forms.iter().any(|form| bytes.windows(form.len()).any(|part| part == form))
}

/// Every file below a directory that has one of these in it.
fn files_with(dir: &Path, forms: &[Vec<u8>]) -> Vec<String> {
    let files = WalkDir::new(dir).into_iter().filter_map(Result::ok).filter(|entry| entry.file_type().is_file());
    // What goes meanwhile is found by the next look.
    let with = files.filter(|entry| fs::read(entry.path()).is_ok_and(|bytes| has(&bytes, forms)));
    with.map(|entry| entry.path().display().to_string()).collect()
}

/// The programs of all processes that have one of these in their environment, and in their command line.
fn processes_with(forms: &[Vec<u8>]) -> [Vec<String>; 2] {
    ["environ", "cmdline"].map(|file| {
        let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok).map(|entry| entry.path());
        let with = processes.filter(|path| fs::read(path.join(file)).is_ok_and(|bytes| has(&bytes, forms)));
        with.filter_map(|path| Some(fs::read_to_string(path.join("comm")).ok()?.trim().to_owned())).collect()
    })
}

on_docker! {
    a_value_is_nowhere_but_in_the_process_and_in_what_it_wrote_on_purpose
    no_warm_container_or_server_of_an_older_value_is_used_again
}

on_both_runtimes! {
    a_process_finds_its_secrets_and_its_logs_have_none
    what_is_not_there_is_refused_by_name_and_of_another_namespace_is_not_there
    a_restart_keeps_secrets_and_another_key_is_named
}

fn a_process_finds_its_secrets_and_its_logs_have_none(env: &TestEnv) {
    let up = env.up();
    let (password, key) = (canary(), format!("-----BEGIN-----\n{}\n-----END-----\n", canary()));
    put(&up, "db-password", &format!("{password}\n"));
    put(&up, "tls.key", &key);
    let flags = ["--secret", "db-password", "--secret", "tls.key,file=key.pem"];
    // Standard output is a log where {out} is named.
    let script = r#"echo "$DB_PASSWORD"; cat {secrets}/key.pem "$LONGSHORE_SECRETS/key.pem" >&2
        ls -l {secrets} >&2; printf %s "$DB_PASSWORD" > {out}; cat {secrets}/key.pem >> {out}"#;
    run(&up, env, &flags, "out", script).exits(0);
    assert_eq!(env.read("out/small"), format!("{password}{key}"), "outputs are the user's own bytes");
    let logs = up.cli(&["logs", "last"]).exits(0);
    let said = format!("{}{}", logs.stdout, logs.stderr);
    assert!(said.contains("***") && said.contains("-r--------") && said.contains("key.pem"), "{said}");
    for secret in [&password[..], key.lines().nth(1).unwrap(), "END"] {
        assert!(!said.contains(secret), "{secret} in {said}");
    }
    // What fails says no more, and the next run finds nothing of this one.
    let failed = run(&up, env, &flags, "failed", r#"echo "no: $DB_PASSWORD" >&2; exit 3"#).exits(3);
    assert!(!failed.to_string().contains(&password), "{failed}");
    let script = r#"ls /dev/shm "$HOME" "$TMPDIR" -a; echo "[$DB_PASSWORD$LONGSHORE_SECRETS]""#;
    run(&up, env, &[], "without", script).exits(0);
    let found = env.read("without/small");
    assert!(found.contains("[]") && !found.contains("longshore-secrets"), "{found}");
}

fn a_value_is_nowhere_but_in_the_process_and_in_what_it_wrote_on_purpose(env: &TestEnv) {
    let up = env.up_after("export LONGSHORE_LOG=trace");
    let value = canary();
    let forms = forms(&value);
    put(&up, "db", &value);
    let nowhere = |when: &str| {
        assert_eq!(files_with(env.dir(), &forms), Vec::<String>::new(), "{when}");
        let [environ, cmdline] = processes_with(&forms);
        let ours = environ.iter().filter(|program| program.contains("longshore")).count();
        assert_eq!((ours, &cmdline[..]), (0, &[][..]), "{when}: {environ:?}");
        for found in env.containers() {
            assert!(!has(env.engine().inspect(&found.id).as_bytes(), &forms), "{when}: docker inspect");
        }
        let commands: [&[&str]; 5] = [
            &["job", "ls", "--format", "json"],
            &["job", "show", "last", "--format", "json"],
            &["logs", "last"],
            &["secret", "ls", "--format", "json"],
            &["service", "ls", "--format", "json"],
        ];
        for command in commands {
            assert!(!has(up.cli(command).to_string().as_bytes(), &forms), "{when}: {command:?}");
        }
        environ
    };
    env.write("files/small", "a few bytes\n");
    let flags = ["--secret", "db", "--secret", "db,file=db.txt", "--retries", "1"];
    let script = r#": {out}; echo "$DB"; cat {secrets}/db.txt >&2; test $LONGSHORE_ATTEMPT = 2 || exit 3; echo ready >&2; sleep 600"#;
    let begin = ["submit", env.image(), "files/small"];
    let id = up.cli(&[&begin[..], &flags, &["--", "sh", "-c", script]].concat()).exits(0).stdout.trim().to_owned();
    until("the second attempt", || {
        let shown = up.job(&id);
        let has_failed = shown["stages"][0]["failed_attempts"].as_u64().unwrap() == 1;
        (has_failed && shown["stages"][0]["running"].as_u64().unwrap() == 1).then_some(())
    });
    until("its process", || processes_with(&forms)[0].iter().any(|program| program == "sleep").then_some(()));
    assert!(nowhere("while it runs").iter().all(|program| program == "sh" || program == "sleep"));
    up.cli(&["job", "cancel", &id]).exits(0);
    until("its end", || processes_with(&forms)[0].is_empty().then_some(()));
    nowhere("when it has ended");

    // A service, which fails first with what it was given.
    env.write(
        "find.yaml",
        format!(
            "name: find\nleaf:\n  image: {}\n  command: [sh, -c, 'echo $DB >&2; grep -q fail {{in}} && exit 3; printf %s $DB | wc -c']\n  \
             secrets: [{{ name: db }}, {{ name: db, file: db.txt }}]\n",
            env.image()
        ),
    );
    up.cli(&["service", "deploy", "find.yaml"]).exits(0);
    let asked = up.cli(&["query", "find", "-d", "how long"]).exits(0);
    assert_eq!(asked.stdout.trim(), value.len().to_string());
    let failed = up.cli(&["query", "find", "-d", "fail"]);
    assert!(failed.code != 0 && failed.stderr.contains("***") && !failed.stderr.contains(&value), "{failed}");
    nowhere("while a service has it");
    up.cli(&["service", "rm", "find"]).exits(0);
    assert_eq!(up.stop(), 0);
    assert_eq!(files_with(env.dir(), &forms), Vec::<String>::new(), "after all");
}

fn no_warm_container_or_server_of_an_older_value_is_used_again(env: &TestEnv) {
    let up = env.up();
    let script = r#"cat /proc/sys/kernel/hostname; printf %s "$DB""#;
    let mut containers = BTreeMap::new();
    for (at, value) in ["value-one", "value-one", "value-two"].into_iter().enumerate() {
        if at != 1 {
            put(&up, "db", value);
        }
        let out = format!("out-{at}");
        run(&up, env, &["--secret", "db"], &out, script).exits(0);
        let said = env.read(&format!("{out}/small"));
        let (container, found) = said.split_once('\n').unwrap();
        assert_eq!(found, value);
        containers.entry(container.to_owned()).or_insert_with(Vec::new).push(value);
    }
    assert!(containers.values().all(|values| values.windows(2).all(|two| two[0] == two[1])), "{containers:?}");
    env.write(
        "find.yaml",
        format!(
            "name: find\nleaf: {{ image: {}, command: [sh, -c, 'printf %s $DB'], secrets: [{{ name: db }}] }}\n",
            env.image()
        ),
    );
    up.cli(&["service", "deploy", "find.yaml"]).exits(0);
    let answer = || up.cli(&["query", "find", "-d", "x"]);
    assert_eq!(answer().exits(0).stdout, "value-two");
    put(&up, "db", "value-three");
    until("a replica with the new value", || (answer().stdout == "value-three").then_some(()));
    up.cli(&["secret", "rm", "db"]).exits(0);
    until("that it is missed by name", || answer().stderr.contains("secret db: it is not there").then_some(()));
    up.cli(&["service", "rm", "find"]).exits(0);
}

fn what_is_not_there_is_refused_by_name_and_of_another_namespace_is_not_there(env: &TestEnv) {
    let up = env.up();
    let value = canary();
    put(&up, "db", &value);
    let theirs = |args: &[&str]| up.cli(&[&["--namespace", "vision"], args].concat());
    assert!(!theirs(&["secret", "ls"]).exits(0).stdout.contains("db"));
    theirs(&["secret", "rm", "db"]).exits(2).says("no secret \"db\"");
    env.write("files/small", "x");
    let submit = ["submit", env.image(), "files/small", "--secret", "db", "--", "true"];
    theirs(&submit).exits(2).says("there is no secret \"db\"").says("longshore secret put db");
    assert_eq!(up.cli(&["secret", "ls", "-q"]).exits(0).stdout.trim(), "db");
    put(&up, "other", &value);
    up.cli(&["secret", "rm", "db", "nosuch", "other"])
        .exits(2)
        .says("no secret \"nosuch\"")
        .says("secret other removed");
    up.cli(&submit).exits(2).says("there is no secret \"db\"");
    assert_eq!(up.cli(&["secret", "ls", "-q"]).exits(0).stdout, "");
    for (args, why) in [
        (&["secret", "put", "../db"][..], "not the name of a secret"),
        (&["secret", "put", "db"], "is empty"),
        (&["secret", "put", "db", "the value"], "unexpected argument"),
        (&["secret", "get", "db"], "unrecognized subcommand"),
    ] {
        up.cli(args).exits(2).says(why);
    }
    up.cli_with_input(&["secret", "put", "db"], &"x".repeat(65_537)).exits(2).says("longer than 65536 bytes");
}

fn a_restart_keeps_secrets_and_another_key_is_named(env: &TestEnv) {
    let up = env.up();
    put(&up, "db", "value-one");
    put(&up, "db", "value-two");
    put(&up, "other", &"long ".repeat(10_000));
    up.kill();
    let up = env.up();
    let listed = up.cli(&["secret", "ls", "--format", "json"]).exits(0).json();
    let shown = |at: usize| (listed[at]["name"].clone(), listed[at]["version"].clone(), listed[at]["bytes"].clone());
    assert_eq!(shown(0), ("db".into(), 2.into(), 9.into()));
    assert_eq!(shown(1), ("other".into(), 1.into(), 50_000.into()));
    run(&up, env, &["--secret", "db"], "out", r#"printf %s "$DB""#).exits(0);
    assert_eq!(env.read("out/small"), "value-two");
    assert_eq!(up.stop(), 0);
    let key = env.path("data/keys/secrets.key");
    let kept = fs::read(&key).unwrap();
    fs::write(&key, [7; 32]).unwrap();
    let up = env.up();
    let listed = up.cli(&["secret", "ls"]).exits(0).stdout;
    assert!(listed.contains("sealed with a key that is not here"), "{listed}");
    run(&up, env, &["--secret", "db"], "none", "true").exits(2).says("sealed with a key that is not here");
    env.write("files/three", "value-three");
    let args = ["secret", "put", "db", "--from-file", "files/three"];
    up.cli(&args).exits(0).says("nobody can be given them: other;");
    run(&up, env, &["--secret", "db"], "again", r#"printf %s "$DB""#).exits(0);
    assert_eq!(env.read("again/small"), "value-three");
    assert_eq!(up.stop(), 0);
    fs::write(&key, kept).unwrap();
    let up = env.up();
    run(&up, env, &["--secret", "other"], "old", r#"printf %s "$OTHER" | wc -c"#).exits(0);
    assert_eq!(env.read("old/small").trim(), "50000");
}
