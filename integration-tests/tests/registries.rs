//! Images of a registry behind passwords, through the real binary.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

#[path = "../../worker/tests/support/host_image.rs"]
mod host_image;
#[path = "../../worker/tests/support/registry.rs"]
#[allow(dead_code, reason = "each file of tests uses its part")]
mod registry;

use std::{collections::BTreeSet, fs};

use integration_tests::real::TestEnv;
use registry::{ANN, BOB, Registry};

/// An image that says which version it is.
fn push(registry: &Registry, version: u32) -> String {
    let root = host_image::tar(&["sh", "echo", "sleep", "cat"], &[]);
    registry.push("team/tool:1", &root, &[&format!("ENV VERSION={version}")]).0
}

#[test]
fn all_workers_run_one_image_of_a_job_though_its_tag_moves_meanwhile() {
    let (Some(env), Some(registry)) = (TestEnv::docker(), Registry::start()) else { return };
    fs::create_dir(env.path("config")).unwrap();
    registry.log_in(&env.path("config"), ANN);
    let flags = ["--registry-config", &env.text_path("config")];
    let tool = push(&registry, 1);
    (0..20).for_each(|number| env.write(&format!("in/{number:02}"), ""));
    let coordinator = env.coordinator();
    let one = env.worker_at("one", &coordinator.address, &flags);
    let job = coordinator.submit(&[
        &tool,
        "in",
        "--",
        "sh",
        "-c",
        "sleep 0.4; echo $VERSION $(cat /proc/sys/kernel/hostname)",
    ]);
    coordinator.until_committed(&job, 1);
    let digest = coordinator.job(&job)["stages"][0]["image_digest"].as_str().unwrap().to_owned();
    push(&registry, 2);
    let address = coordinator.address.clone();
    coordinator.kill();
    let coordinator = env.coordinator_at(address.trim_start_matches("http://"));
    let two = env.worker_at("two", &address, &flags);
    coordinator.cli(&["job", "wait", &job]).exits(0);
    coordinator.cli(&["job", "outputs", &job, "-o", "out"]).exits(0);
    let told: Vec<String> = env.names("out").iter().map(|name| env.read(&format!("out/{name}"))).collect();
    let (versions, containers): (BTreeSet<_>, BTreeSet<_>) =
        told.iter().filter_map(|told| told.split_once(' ')).unzip();
    assert!(told.len() == 20 && versions == BTreeSet::from(["1"]), "{told:?}");
    assert!(containers.len() > 1, "both have worked: {told:?}");
    assert!(digest.starts_with("sha256:"), "{digest}");
    let shown = coordinator.cli(&["job", "show", &job]).exits(0);
    assert!(shown.stdout.contains(&format!("{tool}, known to its registry as {digest}")), "{shown}");
    coordinator.cli(&["run", &tool, "in/00", "-o", "next", "--", "sh", "-c", "echo $VERSION"]).exits(0);
    assert_eq!(env.read("next/00"), "2\n", "the next job finds what the tag says now");
    assert_eq!((one.stop(), two.stop()), (0, 0));
}

#[test]
fn an_image_that_is_refused_fails_at_once_and_says_what_to_do_and_a_helper_is_asked() {
    let (Some(env), Some(registry)) = (TestEnv::docker(), Registry::start()) else { return };
    let tool = push(&registry, 1);
    let script = "#!/bin/sh\nread server\necho \"$server\" >> asked\necho '{\"Username\": \"bob\", \"Secret\": \"bob-secret\"}'\n";
    env.write("bin/docker-credential-of-a-test", script);
    let program = env.path("bin/docker-credential-of-a-test");
    fs::set_permissions(program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    env.write("config/config.json", "{}");
    env.write("in/one", "");
    let up = env.up_after("export PATH=\"$PWD/bin:$PATH\" DOCKER_CONFIG=\"$PWD/config\"");
    let run = ["run", &tool, "in", "-o", "out", "--retries", "5", "--", "sh", "-c", "echo $VERSION"];
    let refused = up.cli(&run).exits(3);
    let refused = refused.says(&format!("refused by {}", registry.address));
    let refused = refused.says(&format!("docker login {}", registry.address));
    assert!(!refused.stderr.contains("attempt 2"), "{refused}");
    env.write("config/config.json", format!(r#"{{"credHelpers": {{"{}": "of-a-test"}}}}"#, registry.address));
    up.cli(&run).exits(0);
    assert_eq!(env.read("out/one"), "1\n");
    assert!(env.lines("asked").iter().all(|asked| *asked == registry.address));
    assert!(!up.log().contains("bob-secret"));
}

#[test]
fn what_a_namespaces_secret_pulls_is_that_namespaces() {
    let (Some(env), Some(registry)) = (TestEnv::docker(), Registry::start()) else { return };
    let tool = push(&registry, 1);
    env.write("in/one", "");
    env.write("config/config.json", "{}");
    let up = env.up_with(&["--registry-config", &env.text_path("config")]);
    let run = |namespace: &str, more: &[&str]| {
        let words = ["--namespace", namespace, "run", &tool, "in", "-o", namespace];
        up.cli(&[&words, more, &["--", "sh", "-c", "echo $VERSION"]].concat())
    };
    let vision = ["--namespace", "vision", "secret", "put", "registry"];
    up.cli_with_input(&vision, ANN).exits(0);
    run("vision", &["--pull-secret", "registry"]).exits(0);
    assert_eq!(env.read("vision/one"), "1\n");
    for namespace in ["audio", "default"] {
        let refused = run(namespace, &[]).exits(3).says(&format!("not pulled for namespace {namespace}"));
        assert!(!refused.stderr.contains("ann-secret"), "{refused}");
    }
    up.cli_with_input(&["--namespace", "audio", "secret", "put", "registry"], "ann:wrong").exits(0);
    run("audio", &["--pull-secret", "registry"]).exits(3);
    up.cli_with_input(&["--namespace", "audio", "secret", "put", "registry"], BOB).exits(0);
    run("audio", &["--pull-secret", "registry"]).exits(0);
    assert!(!up.log().contains("bob-secret") && !up.log().contains("ann-secret"));
    assert!(!fs::read_to_string(env.path("data/worker/pulled.json")).unwrap().contains("secret"));
}
