//! What a container may use, as the engine and the disk have it: temporary places, the working directory, `/dev/shm`.
//!
//! Skipped without Docker, with a line on standard error; `LONGSHORE_REQUIRE_DOCKER=1` makes that a failure.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

#[path = "support/host_image.rs"]
mod host_image;
#[path = "support/world.rs"]
#[allow(dead_code, reason = "each file of tests uses its part")]
mod world;

use std::{path::Path, time::Duration};

use bollard::query_parameters::InspectContainerOptions;
use longshore_shim::ToShim;
use longshore_worker::runtime::{Image, ImageRequest, Runtime, SandboxSpec, StartError};
use tokio::time::timeout;
use world::{PATIENCE, World, client, done, run, said};

/// An image of a few programs of the host's with these instructions, and what is there besides; the test removes it.
async fn image(world: &World, name: &str, changes: &[&str], more: &[(&Path, &str)]) -> Image {
    let docker = world.docker.as_ref().unwrap();
    let tag = format!("longshore-test/bounds-{name}:{}", world.worker.simple());
    let changes: Vec<_> = ["LABEL longshore=test"].iter().chain(changes).map(|&change| change.to_owned()).collect();
    let tar = host_image::tar(&["sh", "cat", "ls", "cp", "head", "sleep"], more);
    docker.import_image(&tag, tar.into(), &changes).await.unwrap();
    docker.resolve(&ImageRequest::of(&tag)).await.unwrap()
}

async fn remove(world: &World, image: &Image) {
    world.docker.as_ref().unwrap().remove_image(&image.reference).await.unwrap();
}

#[tokio::test]
async fn temporary_places_are_on_the_disk_executable_and_emptied_between_runs() {
    let Some(world) = World::docker().await else {
        return;
    };
    let image = image(&world, "places", &["VOLUME /cache"], &[]).await;
    let sandbox = world.start_with(|spec| {
        spec.image = image.clone();
        spec.container.tmp_bytes = 1 << 30;
        spec.container.memory_bytes = 64 << 20;
    });
    let sandbox = sandbox.await.unwrap();
    assert_eq!(sandbox.temporary.len(), 3);
    for (seq, place) in (1..).zip(["/tmp", "/longshore/scratch", "/cache", "/dev/shm"]) {
        // More than there is of memory, where it is on the disk.
        let large = if place == "/dev/shm" { "1" } else { "200000000" };
        let script = format!(
            "ls {place}; head -c {large} /dev/zero > {place}/large && cp /bin/sh {place}/sh && {place}/sh -c 'echo runs'"
        );
        let done = done(&sandbox, run(seq, &["sh", "-c", &script])).await;
        let told = String::from_utf8_lossy(&done.stdout.head).into_owned();
        assert_eq!(
            (told.trim(), done.dirty),
            ("runs", false),
            "{place}: {}",
            String::from_utf8_lossy(&done.stderr.head)
        );
    }
    let left = said(&sandbox, 10, "ls /tmp /longshore/scratch /cache /dev/shm").await;
    assert_eq!(left, "/cache:\n\n/dev/shm:\n\n/longshore/scratch:\n\n/tmp:");
    sandbox.control.remove().await.unwrap();
    remove(&world, &image).await;
    world.close().await;
}

#[tokio::test]
async fn processes_begin_where_they_can_write_unless_the_image_names_a_place() {
    let Some(world) = World::docker().await else {
        return;
    };
    let plain = image(&world, "plain", &[], &[]).await;
    let root = image(&world, "root", &["WORKDIR /"], &[]).await;
    let named = image(&world, "named", &["WORKDIR /bin"], &[]).await;
    let below = image(&world, "below", &["VOLUME /cache", "WORKDIR /cache/deep"], &[]).await;
    for (image, workdir, expected) in [
        (&below, "", "/cache yes"),
        (&plain, "", "/longshore/scratch yes"),
        (&root, "", "/longshore/scratch yes"),
        (&named, "", "/bin no"),
        (&named, "/tmp", "/tmp yes"),
        (&plain, "/bin", "/bin no"),
    ] {
        let sandbox = world.start_with(|spec| {
            spec.image = image.clone();
            spec.container.workdir = workdir.into();
        });
        let sandbox = sandbox.await.unwrap();
        let script = "if echo x > ./side.file; then echo $PWD yes; else echo $PWD no; fi 2> /dev/null";
        assert_eq!(said(&sandbox, 1, script).await, expected, "{workdir:?} in {}", image.reference);
        sandbox.control.remove().await.unwrap();
    }
    for image in [&plain, &root, &named, &below] {
        remove(&world, image).await;
    }
    world.close().await;
}

#[tokio::test]
async fn the_engine_is_asked_for_what_was_granted() {
    let Some(world) = World::docker().await else {
        return;
    };
    let sandbox = world.start_with(|spec| {
        spec.container.pids_limit = 300;
        spec.container.shm_bytes = 1 << 20;
        spec.container.tmp_bytes = 1 << 30;
    });
    let sandbox = sandbox.await.unwrap();
    let made = client().await.inspect_container(sandbox.control.id(), None::<InspectContainerOptions>).await.unwrap();
    let host = made.host_config.unwrap();
    assert_eq!((host.pids_limit, host.shm_size), (Some(300), Some(1 << 20)));
    assert_eq!(said(&sandbox, 1, "ulimit -f").await, ((1 << 30) / 512).to_string());
    let fill = "while cat /bin/sh >> /dev/shm/large; do :; done 2> /dev/null; echo full";
    assert_eq!(said(&sandbox, 2, fill).await, "full");
    sandbox.control.remove().await.unwrap();
    world.close().await;
}

#[tokio::test]
async fn a_working_directory_that_the_image_has_not_is_private_writable_and_emptied() {
    let Some(world) = World::docker().await else {
        return;
    };
    let image = image(&world, "workdir", &[], &[]).await;
    let change = |workdir: &'static str| {
        let image = image.clone();
        move |spec: &mut SandboxSpec| {
            spec.image = image;
            spec.container.workdir = workdir.into();
        }
    };
    // Twice: what the image has is remembered.
    for _ in 0..2 {
        let sandbox = world.start_with(change("/work/here")).await.unwrap();
        assert_eq!(said(&sandbox, 1, "echo x > side.file; ls; echo $PWD").await, "side.file\n/work/here");
        assert_eq!(said(&sandbox, 2, "ls").await, "");
        assert_eq!(sandbox.temporary.len(), 3, "it counts as temporary");
        sandbox.control.remove().await.unwrap();
    }
    match world.start_with(change("/tmp/x")).await {
        Err(StartError::Refused(why)) => assert!(why.contains("\"/tmp/x\"") && why.contains("name /tmp"), "{why}"),
        other => panic!("it was not refused: {:?}", other.err()),
    }
    match world.start_with(change("/bin/sh")).await {
        Err(StartError::Refused(why)) => assert!(why.contains("workdir \"/bin/sh\" is a file in image"), "{why}"),
        other => panic!("it was not refused: {:?}", other.err()),
    }
    remove(&world, &image).await;
    world.close().await;
}

#[tokio::test]
async fn a_writable_layer_is_the_containers_own_and_seen_from_outside() {
    let Some(world) = World::docker_with(|options| options.allow_root = true).await else {
        return;
    };
    let change = |spec: &mut SandboxSpec| {
        spec.container.writable_root = true;
        spec.container.user = "0".into();
    };
    let sandbox = match world.start_with(change).await {
        Ok(sandbox) => sandbox,
        // A worker that is not root, or an engine that keeps layers elsewhere.
        Err(StartError::Refused(why)) => {
            assert!(why.contains("read_only: false"), "{why}");
            eprintln!("not tried: {why}");
            return world.close().await;
        }
        Err(error) => panic!("{error}"),
    };
    assert_eq!(said(&sandbox, 1, "echo x > /etc-of-mine && cat /etc-of-mine").await, "x");
    let layer = sandbox.temporary.last().unwrap();
    assert!(rustix::fs::statat(layer, "etc-of-mine", rustix::fs::AtFlags::empty()).is_ok());
    sandbox.control.remove().await.unwrap();
    let another = world.start_with(change).await.unwrap();
    assert_eq!(said(&another, 1, "cat /etc-of-mine 2> /dev/null || echo gone").await, "gone");
    another.control.remove().await.unwrap();
    world.close().await;
}

#[tokio::test]
async fn the_first_process_is_known_outside_and_leads_to_what_its_children_hold_open() {
    let Some(world) = World::docker().await else {
        return;
    };
    let sandbox = world.start().await;
    let first = sandbox.first_process.unwrap().as_raw_nonzero();
    let hold = "exec 3> /tmp/held; exec sleep 600";
    sandbox.shim.send(&ToShim::Run(run(1, &["sh", "-c", hold]))).await.unwrap();
    let held = || {
        let list = std::fs::read_to_string(format!("/proc/{first}/task/{first}/children")).ok()?;
        let child = list.split_ascii_whitespace().next()?;
        std::fs::metadata(format!("/proc/{child}/fd/3")).ok().filter(|file| file.is_file())
    };
    timeout(PATIENCE, async {
        while held().is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
    sandbox.control.remove().await.unwrap();
    world.close().await;
}
