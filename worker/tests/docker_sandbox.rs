//! What only containers promise: the walls.
//!
//! Skipped without Docker, with a line on standard error; `LONGSHORE_REQUIRE_DOCKER=1` makes that a failure.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

#[path = "support/host_image.rs"]
mod host_image;
#[path = "support/world.rs"]
#[allow(dead_code, reason = "each file of tests uses its part")]
mod world;

use std::{fs, time::Duration};

use bollard::query_parameters::InspectContainerOptions;
use longshore_shim::{End, Stdin};
use longshore_worker::runtime::{
    Image, ImageError, ImageRequest, Runtime, SandboxSpec, StartError, docker::DockerOptions,
};
use world::{World, client, done, run, said, shell};

#[tokio::test]
async fn there_is_no_network_but_the_loopback() {
    let Some(world) = World::docker().await else {
        return;
    };
    let sandbox = world.start().await;
    assert_eq!(said(&sandbox, 1, "ls /sys/class/net").await, "lo");
    // Up, and a loopback.
    assert_eq!(said(&sandbox, 2, "cat /sys/class/net/lo/flags").await, "0x9");
    let names = said(&sandbox, 3, "cat /etc/hosts").await;
    assert!(names.starts_with("127.0.0.1\tlocalhost\n::1"), "{names}");
    let shown = client().await.inspect_container(sandbox.control.id(), None::<InspectContainerOptions>).await.unwrap();
    assert_eq!(shown.config.unwrap().network_disabled, Some(true), "the engine runs nothing of its own inside");
    sandbox.control.remove().await.unwrap();
    world.close().await;
}

#[tokio::test]
async fn only_outputs_and_scratch_can_be_written() {
    let Some(world) = World::docker().await else {
        return;
    };
    let data = tempfile::tempdir().unwrap();
    fs::set_permissions(data.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let sandbox = world.start_with(|spec| spec.data = Some(data.path().into())).await.unwrap();
    let forbidden = [
        "/file",
        "/bin/file",
        "/etc/file",
        "/longshore/file",
        "/longshore/in/file",
        "/longshore/control/file",
        "/longshore/shim",
        "/longshore/data/file",
        "/longshore/out/file",
        "/proc/sys/kernel/hostname",
    ];
    for (seq, path) in (1..).zip(forbidden) {
        if path == "/longshore/out/file" && !rustix::process::geteuid().is_root() {
            eprintln!("{path} is not tried: containers of a worker that is not root run as its own user");
            continue;
        }
        let end = done(&sandbox, run(seq, &["sh", "-c", &format!("echo x > {path}")])).await.end;
        assert!(matches!(end, End::Exited(code) if code != 0), "{path}: {end:?}");
    }
    for (seq, path) in (100..).zip(["/tmp/file", "/dev/shm/file", "/longshore/out/1/file"]) {
        let done = done(&sandbox, run(seq, &["sh", "-c", &format!("echo x > {path}")])).await;
        assert_eq!((done.end, done.dirty), (End::Exited(0), false), "{path}");
    }
    for (seq, others) in [(150, "/longshore/in"), (151, "/longshore/out")] {
        if !rustix::process::geteuid().is_root() {
            eprintln!("{others} is not listed: containers of a worker that is not root run as its own user");
            continue;
        }
        let list = done(&sandbox, run(seq, &["ls", others])).await.end;
        assert!(matches!(list, End::Exited(code) if code != 0), "{others} can be listed: {list:?}");
    }
    assert_eq!(said(&sandbox, 200, "ls /tmp /dev/shm /dev/mqueue").await, "/dev/mqueue:\n\n/dev/shm:\n\n/tmp:");
    sandbox.control.remove().await.unwrap();
    world.close().await;
}

#[tokio::test]
async fn standard_input_leads_to_nothing_that_can_be_written() {
    let Some(world) = World::docker().await else {
        return;
    };
    let sandbox = world.start().await;
    let input = sandbox.paths.host_in.join("input");
    fs::write(&input, "as it was").unwrap();
    fs::set_permissions(&input, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    let mut reopen = run(1, &["sh", "-c", "echo changed > /proc/self/fd/0"]);
    reopen.stdin = Stdin::File("input".into());
    let end = done(&sandbox, reopen).await.end;
    assert!(matches!(end, End::Exited(code) if code != 0), "{end:?}");
    assert_eq!(fs::read(&input).unwrap(), b"as it was");
    sandbox.control.remove().await.unwrap();
    world.close().await;
}

#[tokio::test]
async fn a_process_has_no_rights() {
    let Some(world) = World::docker().await else {
        return;
    };
    let sandbox = world.start().await;
    let status = said(&sandbox, 1, "cat /proc/self/status").await;
    let field = |name: &str| {
        let line = status.lines().find(|line| line.split(':').next() == Some(name)).unwrap();
        line.split_once(':').unwrap().1.split_ascii_whitespace().next().unwrap().to_owned()
    };
    for name in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(field(name), "0000000000000000", "{name}");
    }
    // What the shim has (SETUID, SETGID, KILL): without new privileges nobody comes by it.
    assert_eq!(field("CapBnd"), "00000000000000e0");
    assert_eq!(field("NoNewPrivs"), "1");
    assert_ne!(field("Uid"), "0");
    assert_ne!(field("Gid"), "0");
    if world.docker.as_ref().unwrap().info().seccomp {
        assert_eq!(field("Seccomp"), "2");
    }
    sandbox.control.remove().await.unwrap();
    world.close().await;
}

#[tokio::test]
async fn a_process_cannot_reach_the_shim() {
    let Some(world) = World::docker().await else {
        return;
    };
    let sandbox = world.start().await;
    assert_eq!(said(&sandbox, 1, "cat /proc/1/environ || echo no").await, "no");
    assert_eq!(said(&sandbox, 2, "echo x > /proc/1/fd/2 || echo no").await, "no");
    assert_eq!(said(&sandbox, 3, "kill -9 1; ls /longshore/control; echo alive").await, "alive");
    sandbox.control.remove().await.unwrap();
    world.close().await;
}

#[tokio::test]
async fn the_engine_keeps_every_bound_it_was_asked_for() {
    let Some(world) = World::docker().await else {
        return;
    };
    let change = |spec: &mut SandboxSpec| {
        spec.container.memory_bytes = 64 << 20;
        spec.container.cpu_milli = 500;
    };
    let sandbox = world.start_with(change).await.unwrap();
    let made = client().await.inspect_container(sandbox.control.id(), None::<InspectContainerOptions>).await.unwrap();
    let host = made.host_config.unwrap();
    assert_eq!((host.memory, host.memory_swap, host.nano_cpus), (Some(64 << 20), Some(64 << 20), Some(500_000_000)));
    assert_eq!(host.pids_limit, Some(4_096));
    assert_eq!(host.network_mode.as_deref(), Some("none"));
    assert_eq!(host.ipc_mode.as_deref(), Some("private"));
    assert_eq!(host.log_config.unwrap().typ.as_deref(), Some("local"));
    assert!(host.pid_mode.is_none_or(|mode| mode.is_empty()));
    assert!(made.config.unwrap().labels.unwrap().contains_key("longshore"));
    // Paths under /proc that the engine hides by default stay hidden.
    assert_eq!(said(&sandbox, 1, "cat /proc/kcore; ls /sys/firmware; echo end").await, "end");
    assert_eq!(said(&sandbox, 2, "ulimit -n; ulimit -c; ulimit -f").await, "4096\n0\n2048");
    sandbox.control.remove().await.unwrap();
    world.close().await;
}

#[tokio::test]
async fn processes_are_bounded() {
    let Some(world) = World::docker().await else {
        return;
    };
    let sandbox = world.start_with(|spec| spec.container.pids_limit = 20).await.unwrap();
    let bomb = "i=0; while [ $i -lt 40 ]; do sleep 600 & i=$((i+1)); done; echo all";
    let done = done(&sandbox, shell(bomb)).await;
    assert!(matches!(done.end, End::Exited(code) if code != 0), "{:?}", done.end);
    assert!(String::from_utf8_lossy(&done.stderr.head).contains("fork"));
    assert_eq!(said(&sandbox, 2, "echo alive").await, "alive");
    sandbox.control.remove().await.unwrap();
    world.close().await;
}

#[tokio::test]
async fn too_much_memory_is_told_as_such_and_the_sandbox_goes_on() {
    let Some(world) = World::docker().await else {
        return;
    };
    let change = |spec: &mut SandboxSpec| spec.container.memory_bytes = 32 << 20;
    let sandbox = world.start_with(change).await.unwrap();
    let grow = "x=0123456789; while true; do x=$x$x; done";
    let grown = done(&sandbox, shell(grow)).await;
    assert!(grown.end != End::Exited(0) && grown.memory_kills > 0, "{grown:?}");
    let survived = done(&sandbox, run(2, &["sh", "-c", &format!("sh -c '{grow}'; exit 0")])).await;
    assert!(survived.end == End::Exited(0) && survived.memory_kills > 0, "{survived:?}");
    let next = done(&sandbox, run(3, &["sh", "-c", "exit 5"])).await;
    assert_eq!((next.end, next.memory_kills), (End::Exited(5), 0), "the kill was another's");
    sandbox.control.remove().await.unwrap();
    world.close().await;
}

#[tokio::test]
async fn the_place_of_the_container_on_the_host_is_not_seen() {
    let Some(world) = World::docker().await else {
        return;
    };
    let sandbox = world.start().await;
    let groups = said(&sandbox, 1, "cat /proc/self/cgroup").await;
    assert!(groups.lines().all(|line| line.ends_with(":/")), "{groups}");
    sandbox.control.remove().await.unwrap();
    world.close().await;
}

#[tokio::test]
async fn containers_of_an_earlier_life_are_swept() {
    let Some(world) = World::docker().await else {
        return;
    };
    let sandbox = world.start().await;
    assert_eq!(world.next_life().await.sweep().await.unwrap(), 1);
    assert_eq!(world.containers().await, Vec::<String>::new());
    assert!(sandbox.shim.receive().await.is_err());
    sandbox.control.remove().await.unwrap();
    world.close().await;
}

async fn refusal(world: &World, change: impl FnOnce(&mut SandboxSpec)) -> String {
    match world.start_with(change).await {
        Err(StartError::Refused(words)) => words,
        Err(StartError::Engine(words)) => panic!("not a refusal: {words}"),
        Ok(_) => panic!("it was started"),
    }
}

#[tokio::test]
async fn what_the_operator_has_not_allowed_is_refused_and_leaves_nothing() {
    let Some(world) = World::docker().await else {
        return;
    };
    let network = refusal(&world, |spec| spec.container.network = "host".into()).await;
    assert!(network.contains("--allow-network host"), "{network}");
    let root = refusal(&world, |spec| spec.container.user = "0:0".into()).await;
    assert!(root.contains("--allow-root"), "{root}");
    let unknown = refusal(&world, |spec| spec.container.user = "nosuchuser".into()).await;
    assert!(unknown.contains("nosuchuser"), "{unknown}");
    let memory = refusal(&world, |spec| spec.container.memory_bytes = 1).await;
    assert!(memory.to_lowercase().contains("memory"), "{memory}");
    refusal(&world, |spec| spec.data = Some("/no/such/directory".into())).await;
    world.close().await;
}

#[tokio::test]
async fn what_the_operator_has_allowed_is_given() {
    let allow = |options: &mut DockerOptions| {
        options.networks = vec!["bridge".into()];
        options.allow_root = true;
    };
    let Some(world) = World::docker_with(allow).await else {
        return;
    };
    let change = |spec: &mut SandboxSpec| {
        spec.container.network = "bridge".into();
        spec.container.user = "0".into();
    };
    let sandbox = world.start_with(change).await.unwrap();
    assert_eq!(said(&sandbox, 1, "ls /sys/class/net").await, "eth0\nlo");
    assert_eq!(said(&sandbox, 2, "id -u").await, "0");
    sandbox.control.remove().await.unwrap();
    world.close().await;
}

/// An image of the host's programs with these instructions; the test removes it.
async fn changed_image(world: &World, tag: &str, changes: &[&str]) -> Image {
    let docker = world.docker.as_ref().unwrap();
    let changes: Vec<_> = changes.iter().map(|&change| change.to_owned()).collect();
    docker.import_image(tag, host_image::tar(&["sh", "ls", "cat"], &[]).into(), &changes).await.unwrap();
    docker.resolve(&ImageRequest::of(tag)).await.unwrap()
}

#[tokio::test]
async fn volumes_of_an_image_become_scratch_and_its_check_does_not_run() {
    let Some(world) = World::docker().await else {
        return;
    };
    let tag = format!("longshore-test/volumes:{}", world.worker.simple());
    let changes = [
        "LABEL longshore=test",
        "VOLUME /cache",
        "ENV HOME=/cache",
        "USER 1234:1235",
        "HEALTHCHECK --interval=1s CMD [\"/bin/sh\"]",
        "ENTRYPOINT [\"/bin/cat\"]",
    ];
    let image = changed_image(&world, &tag, &changes).await;
    assert_eq!((image.entrypoint.clone(), image.names_user), (vec!["/bin/cat".into()], true));
    let sandbox = world.start_with(|spec| spec.image = image).await.unwrap();
    assert_eq!(
        said(&sandbox, 1, "echo x > /cache/file; ls /cache; echo $HOME $TMPDIR").await,
        "file\n/cache /longshore/scratch"
    );
    assert_eq!(
        said(
            &sandbox,
            2,
            "ls /cache; cat /proc/self/status | while read a b c; do case $a in Uid:|Gid:) echo $b;; esac; done"
        )
        .await,
        "1234\n1235"
    );
    let made = client().await.inspect_container(sandbox.control.id(), None::<InspectContainerOptions>).await.unwrap();
    assert!(made.state.unwrap().health.is_none_or(|health| health.log.is_none_or(|log| log.is_empty())));
    assert!(made.mounts.unwrap().iter().all(|mount| mount.name.is_none()), "no real volume");
    sandbox.control.remove().await.unwrap();
    world.docker.as_ref().unwrap().remove_image(&tag).await.unwrap();
    world.close().await;
}

#[tokio::test]
async fn an_image_with_a_hostile_working_directory_or_volume_is_refused() {
    let Some(world) = World::docker().await else {
        return;
    };
    for (number, change) in ["WORKDIR /proc/self/fd/8", "VOLUME /longshore/in", "VOLUME /proc/x"].iter().enumerate() {
        let tag = format!("longshore-test/hostile-{number}:{}", world.worker.simple());
        let image = changed_image(&world, &tag, &["LABEL longshore=test", change]).await;
        let words = refusal(&world, |spec| spec.image = image).await;
        assert!(words.contains(&tag), "{words}");
        world.docker.as_ref().unwrap().remove_image(&tag).await.unwrap();
    }
    world.close().await;
}

#[tokio::test]
async fn an_image_that_is_nowhere_is_told_with_its_registry() {
    let Some(world) = World::docker().await else {
        return;
    };
    // Nobody listens at port 1.
    let reference = "127.0.0.1:1/absent:1";
    let error = world.runtime.resolve(&ImageRequest::of(reference)).await.unwrap_err();
    assert!(matches!(error, ImageError::Unreachable { .. }), "{error}");
    let words = error.to_string();
    assert!(words.contains("127.0.0.1:1 cannot be reached") && words.contains("connection refused"), "{words}");
    for odd in ["", "no spaces", "../x", &format!("sha256:{}", "0".repeat(64))] {
        assert!(
            matches!(world.runtime.resolve(&ImageRequest::of(odd)).await, Err(ImageError::NotFound { .. })),
            "{odd:?}"
        );
    }
    world.close().await;
}

/// A registry that accepts and never answers.
#[tokio::test]
async fn a_pull_that_hangs_is_given_up() {
    let change = |options: &mut DockerOptions| {
        options.pull_timeout = Duration::from_secs(1);
    };
    let Some(world) = World::docker_with(change).await else {
        return;
    };
    let registry = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let reference = format!("{}/slow:1", registry.local_addr().unwrap());
    let error = world.runtime.resolve(&ImageRequest::of(&*reference)).await.unwrap_err();
    assert!(error.to_string().contains("within 1 s"), "{error}");
    world.close().await;
}

#[tokio::test]
async fn the_engine_says_what_it_is() {
    let Some(world) = World::docker().await else {
        return;
    };
    let info = world.docker.as_ref().unwrap().info();
    assert!(!info.version.is_empty() && info.api_version.starts_with("1."), "{info:?}");
    assert!([1, 2].contains(&info.cgroup_version), "{info:?}");
    assert!(!info.runc.is_empty() && !info.storage_driver.is_empty() && !info.architecture.is_empty(), "{info:?}");
    world.close().await;
}
