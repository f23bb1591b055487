//! What only containers can show: isolation, memory limits, programs of an image.
//!
//! Skipped without Docker, with a line on standard error; `LONGSHORE_REQUIRE_DOCKER=1` makes that a failure.

use std::panic::{AssertUnwindSafe, resume_unwind};

use futures_util::FutureExt;

use super::*;
use crate::{
    host_image,
    runtime::docker::{DockerOptions, DockerRuntime},
};

/// Runs a test over Docker with an image made for it, and leaves nothing behind, also when the test fails.
async fn in_docker(test: impl AsyncFnOnce(&mut World)) {
    let dir = tempfile::tempdir().unwrap();
    let options = DockerOptions::new(Uuid::new_v4(), dir.path().join("shim"));
    let docker = match DockerRuntime::connect(options).await {
        Ok(docker) => Arc::new(docker),
        Err(error) => {
            let required = std::env::var_os("LONGSHORE_REQUIRE_DOCKER").is_some_and(|value| value == "1");
            assert!(!required, "{error}");
            eprintln!("skipped, as no Docker answers (LONGSHORE_REQUIRE_DOCKER=1 makes this a failure): {error}");
            return;
        }
    };
    let image = format!("longshore-test-executor:{}", Uuid::new_v4().simple());
    docker.import_image(&image, host_image::tar(&PROGRAMS, &[]).into(), &[]).await.unwrap();
    let runtime: Arc<dyn Runtime> = Arc::<DockerRuntime>::clone(&docker);
    let mut world = World::over(runtime, &image, 1, dir, |_| {});
    let outcome = AssertUnwindSafe(test(&mut world)).catch_unwind().await;
    world.end().await;
    docker.remove_image(&image).await.unwrap();
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
}

pub(super) const PROGRAMS: [&str; 8] = ["sh", "cat", "tr", "ls", "head", "tail", "ln", "mkfifo"];

#[tokio::test]
async fn items_run_in_one_warm_container() {
    in_docker(async |world| {
        let stage = world.shell("tr a-z A-Z < \"{in}\" > \"{out}\"");
        let names: Vec<String> = (0..50).map(|number| format!("d/{number}")).collect();
        let inputs: Vec<_> = names.iter().map(|name| (name.as_str(), "hello")).collect();
        let work = world.map(stage, &inputs);
        for (finished, name) in world.run(work).await.iter().zip(&names) {
            assert_eq!(outputs(finished), [pair(name, "HELLO")]);
        }
        let work = world
            .gather(world.shell("ls \"{in}\" > \"{out}\"; cat \"{in}\"/* >> \"{out}\""), &[("a", "1"), ("b", "2")]);
        assert_eq!(outputs(&world.run(vec![work]).await[0]), [pair("total", "000000-a\n000001-b\n12")]);
    })
    .await;
}

#[tokio::test]
async fn inputs_cannot_be_written_inside() {
    in_docker(async |world| {
        let stage = world.shell("echo x >> \"{in}\" || echo refused > \"{out}\"");
        assert_eq!(world.outputs(stage, "a", "").await, [pair("a", "refused\n")]);
    })
    .await;
}

#[tokio::test]
async fn hostile_outputs_are_refused_by_name() {
    in_docker(async |world| {
        for (line, message) in [
            ("ln -s /etc/shadow \"{out}\"", "output refused: \"item\" is a link to \"/etc/shadow\", which leads out"),
            (
                "ln -s /proc/self/environ \"{out}\"",
                "output refused: \"item\" is a link to \"/proc/self/environ\", which leads out",
            ),
            ("mkfifo \"{out}\"", "output refused: \"item\" is a FIFO"),
        ] {
            let failure = world.failure(world.shell(line)).await;
            assert_eq!(failure.class(), FailureClass::Output);
            assert!(failure.message.starts_with(message), "{}", failure.message);
        }
    })
    .await;
}

#[tokio::test]
async fn a_container_without_the_program_says_so() {
    in_docker(async |world| {
        let failure = world.failure(world.stage(&["bash", "-c", "true"])).await;
        assert_eq!(failure.class(), FailureClass::Command);
        assert!(failure.message.contains("the image may have no shell"), "{}", failure.message);
        let mut stage = world.stage(&["true"]);
        stage.container.as_mut().unwrap().image = "longshore.invalid/none:1".into();
        let failure = world.failure(stage).await;
        assert_eq!(failure.class(), FailureClass::Infrastructure, "{}", failure.message);
    })
    .await;
}

#[tokio::test]
async fn memory_limits_are_told_from_other_ends() {
    in_docker(async |world| {
        let mut stage = world.shell("cat \"{in}\"; tail /dev/zero");
        stage.container.as_mut().unwrap().memory_bytes = 64 << 20;
        let failure = world.failure(stage.clone()).await;
        assert_eq!(failure.class(), FailureClass::OutOfMemory, "{}", failure.message);
        assert!(failure.message.starts_with("met its memory limit of 64 MiB; `memory: 128m`"), "{}", failure.message);
        stage.container.as_mut().unwrap().command[2] = "cat \"{in}\"".into();
        assert_eq!(world.outputs(stage, "a", "fine").await, [pair("a", "fine")]);
    })
    .await;
}

#[tokio::test]
async fn large_outputs_keep_their_bytes() {
    in_docker(async |world| {
        let stage = world.stage(&["head", "-c", "5000000", "/dev/zero"]);
        assert_eq!(world.outputs(stage, "a", "").await[0].1.len(), 5_000_000);
    })
    .await;
}
