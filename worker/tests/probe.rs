//! The trial with which a worker finds out whether its engine can run anything.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

#[path = "support/host_image.rs"]
mod host_image;
#[path = "support/world.rs"]
#[allow(dead_code, reason = "each file of tests uses its part")]
mod world;

use std::fs;

use longshore_worker::runtime::{ImageRequest, Runtime};
use world::World;

/// Tries the engine out twice; what it is asked anew must not be in the way.
async fn passes(world: &World) {
    let dir = world.directory().join("trial");
    for _ in 0..2 {
        let notes = world.runtime.probe(&dir).await.unwrap();
        assert!(notes.iter().all(|note| !note.contains("memory") && !note.contains("processes")), "{notes:?}");
        leaves_nothing(world, &dir).await;
    }
}

async fn leaves_nothing(world: &World, dir: &std::path::Path) {
    assert!(!dir.exists());
    assert_eq!(world.containers().await, Vec::<String>::new());
    let image = format!("longshore-probe:{}", world.worker.simple());
    let left = world.client().await.inspect_image(&image).await;
    assert!(left.is_err(), "its image is still there");
}

#[tokio::test]
async fn an_engine_that_runs_containers_passes_and_is_left_as_it_was() {
    let Some(world) = World::docker().await else {
        return;
    };
    passes(&world).await;
    world.close().await;
}

#[tokio::test]
async fn podman_passes_too() {
    let Some(world) = World::podman().await else {
        return;
    };
    passes(&world).await;
    world.close().await;
}

/// The engine is asked to mount a file that is not there: it takes every request but the last.
#[tokio::test]
async fn an_engine_that_cannot_run_us_is_named_with_the_reason_and_passes_when_it_can() {
    let Some(world) = World::docker().await else {
        return;
    };
    let dir = world.directory().join("trial");
    let (shim, aside) = (world.shim_directory(), world.shim_directory().with_extension("aside"));
    fs::rename(&shim, &aside).unwrap();
    let error = world.runtime.probe(&dir).await.unwrap_err().to_string();
    let info = world.docker.as_ref().unwrap().info();
    for word in [&*info.name(), "bind source path does not exist", "longshore doctor"] {
        assert!(error.contains(word), "{word:?} is not in {error:?}");
    }
    leaves_nothing(&world, &dir).await;
    fs::rename(&aside, &shim).unwrap();
    world.runtime.probe(&dir).await.unwrap();
    leaves_nothing(&world, &dir).await;
    world.close().await;
}

/// A worker that was killed in the middle has left its image and its directory.
#[tokio::test]
async fn what_an_earlier_trial_has_left_is_no_obstacle() {
    let Some(world) = World::docker().await else {
        return;
    };
    let dir = world.directory().join("trial");
    fs::create_dir_all(dir.join("in/letter")).unwrap();
    let docker = world.docker.as_ref().unwrap();
    let image = format!("longshore-probe:{}", world.worker.simple());
    docker.import_image(&image, vec![0; 1024].into(), &[]).await.unwrap();
    let before = docker.resolve(&ImageRequest::of(&image)).await.unwrap();
    docker.probe(&dir).await.unwrap();
    leaves_nothing(&world, &dir).await;
    assert!(world.client().await.inspect_image(&before.id).await.is_err(), "it is there without a name");
    world.close().await;
}
