//! What Podman gives containers beside what it was asked for, and how it is not let.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

#[path = "support/host_image.rs"]
mod host_image;
#[path = "support/world.rs"]
#[allow(dead_code, reason = "each file of tests uses its part")]
mod world;

use std::time::{Duration, Instant};

use bollard::query_parameters::InspectContainerOptions;
use longshore_shim::End;
use longshore_worker::runtime::SandboxSpec;
use world::{World, done, run, said};

/// How long Podman waits for a container that does not end when it is asked to, before it ends it.
const ITS_PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_container_of_podman_has_the_walls_and_bounds_of_one_of_docker() {
    let Some(world) = World::podman().await else {
        return;
    };
    let info = world.docker.as_ref().unwrap().info();
    assert_eq!(info.product, "Podman");
    assert!(info.log_drivers.iter().any(|driver| driver == "k8s-file"), "{info:?}");
    let change = |spec: &mut SandboxSpec| {
        spec.container.memory_bytes = 64 << 20;
        spec.container.cpu_milli = 500;
    };
    let sandbox = world.start_with(change).await.unwrap();
    // The first two it makes writable by itself, for all runs of a container alike.
    for (seq, place) in (1..).zip(["/run", "/var/tmp", "/", "/etc", "/longshore/in", "/longshore/out"]) {
        let end = done(&sandbox, run(seq, &["sh", "-c", &format!("echo x > {place}/file")])).await.end;
        assert!(matches!(end, End::Exited(code) if code != 0), "{place}: {end:?}");
    }
    assert_eq!(said(&sandbox, 100, "echo x > /tmp/file && echo written").await, "written");
    assert_eq!(said(&sandbox, 101, "ls /tmp; ls /sys/class/net").await, "lo");
    let client = world.client().await;
    let made = client.inspect_container(sandbox.control.id(), None::<InspectContainerOptions>).await.unwrap();
    let host = made.host_config.unwrap();
    assert_eq!((host.memory, host.memory_swap, host.nano_cpus), (Some(64 << 20), Some(64 << 20), Some(500_000_000)));
    assert!(host.pids_limit.is_some_and(|limit| limit > 0), "{:?}", host.pids_limit);
    let begun = Instant::now();
    sandbox.control.remove().await.unwrap();
    assert!(begun.elapsed() < ITS_PATIENCE, "it waits before it removes: {:?}", begun.elapsed());
    world.close().await;
}
