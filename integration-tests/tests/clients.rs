//! Clients beside a coordinator that is away, and one of another language, through the real binary.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use integration_tests::real::{TestEnv, repository, until};

/// A shell command that waits until the test opens the gate.
fn gate(env: &TestEnv) -> String {
    format!("until test -e {}; do sleep 0.02; done; cat", env.shell_path("gate"))
}

#[test]
fn a_run_watches_through_a_kill_and_a_restart_of_the_coordinator_and_fetches() {
    let env = TestEnv::process();
    env.write("in/a.txt", "white whale\n");
    let coordinator = env.coordinator();
    let worker = env.worker("w", &coordinator);
    coordinator.until_workers(1);
    let address = coordinator.address.clone();
    let run = coordinator.begin(&["run", "host", "in", "-o", "out", "--", "sh", "-c", &gate(&env)]);
    until("the job is there", || coordinator.cli(&["ps", "-q"]).stdout.lines().next().map(str::to_owned));
    coordinator.kill();
    until("the command says that it waits", || run.said().contains("waiting for the coordinator at").then_some(()));
    let again = env.coordinator_at(&address);
    env.write("gate", "");
    let ran = run.ended().exits(0);
    assert_eq!(env.read("out/a.txt"), "white whale\n", "{ran}");
    assert!(ran.stderr.contains("answers again"), "{ran}");
    drop((worker, again));
}

#[test]
fn a_submission_waits_for_a_coordinator_that_restarts() {
    let env = TestEnv::process();
    env.write("in/a.txt", "1");
    let coordinator = env.coordinator();
    let address = coordinator.address.clone();
    // It takes no connection any more, and then it is gone.
    coordinator.freeze();
    let submit = coordinator.begin(&["submit", "host", "in", "--", "true"]);
    coordinator.kill();
    until("the command says that it waits", || submit.said().contains("waiting for the coordinator at").then_some(()));
    let again = env.coordinator_at(&address);
    let job = submit.ended().exits(0).stdout;
    assert_eq!(again.cli(&["ps", "-q"]).stdout, job, "one job, however often it was asked for");
}

/// A Python with what the example needs, or `None` where none can be had.
fn python(dir: &Path) -> Option<PathBuf> {
    let venv = dir.join("venv");
    let requirements = repository().join("examples/python/requirements.txt");
    let made = Command::new("python3").args(["-m", "venv"]).arg(&venv).output();
    let made = made.map_err(|error| error.to_string()).and_then(|ran| match ran.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&ran.stdout).into_owned()),
    });
    let installed = made.and_then(|()| {
        let pip = Command::new(venv.join("bin/pip"))
            .args(["install", "--quiet", "--disable-pip-version-check", "-r"])
            .arg(&requirements)
            .output()
            .map_err(|error| error.to_string())?;
        if pip.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&pip.stderr).into_owned()) }
    });
    match installed {
        Ok(()) => Some(venv.join("bin/python")),
        Err(why) => {
            let required = env::var_os("LONGSHORE_REQUIRE_DOCKER").is_some_and(|value| value == "1");
            assert!(!required, "Python's grpcio cannot be installed: {why}");
            eprintln!("skipped: Python's grpcio cannot be installed: {why}");
            None
        }
    }
}

#[test]
fn stock_python_finds_the_services_submits_watches_fetches_and_reads_refusals() {
    let env = TestEnv::process();
    let Some(python) = python(env.dir()) else { return };
    env.write("a.txt", "white whale\n");
    env.write("large.txt", "x".repeat(300_000));
    let up = env.up();
    env.write("token", up.token());
    let script = repository().join("examples/python/submit.py");
    let address = up.address.trim_start_matches("http://").to_owned();
    let typed = |args: &[&str]| {
        let ran = Command::new(&python)
            .arg(&script)
            .args(["--addr", &address, "--token-file", &env.text_path("token"), "--image", "host"])
            .args(args)
            .output()
            .unwrap();
        let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        (ran.status.code(), format!("{out}{err}"))
    };
    let (a, large, out) = (env.text_path("a.txt"), env.text_path("large.txt"), env.text_path("out"));
    let (code, said) = typed(&["--output", &out, &a, &large, "--", "cat"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(env.read("out/a.txt"), "white whale\n", "{said}");
    assert_eq!(fs::metadata(env.path("out/large.txt")).unwrap().len(), 300_000);
    let (code, said) = typed(&["--show", "0198c2"]);
    assert_eq!(code, Some(1), "{said}");
    for word in ["NOT_FOUND", "reason: JOB_NOT_FOUND", "about: job 0198c2", "next: longshore job ls"] {
        assert!(said.contains(word), "{word}: {said}");
    }
}
