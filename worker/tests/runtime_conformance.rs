//! What every runtime must do, checked on each: containers of Docker, containers of Podman, and plain processes.
//!
//! Without Docker its part is skipped with a line on standard error; `LONGSHORE_REQUIRE_DOCKER=1` makes that a failure. Podman is
//! tested where it is installed and we are root.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

#[path = "support/host_image.rs"]
mod host_image;
#[path = "support/world.rs"]
mod world;

use std::{fs, io::Seek, path::Path};

use longshore_shim::{End, Stdin, Stdout, ToShim};
use longshore_worker::runtime::Sandbox;
use tokio::time::timeout;
use world::{PATIENCE, World, as_somebody, done, done_with, run, said, shell};

/// Runs each check on every runtime, and then looks for leftovers.
macro_rules! on_each_runtime {
    ($($check:ident),* $(,)?) => {
        on_each_runtime!(@on docker $($check)*);

        /// One after the other in one world: a Podman takes its time to start, and each time it is asked what it is.
        #[tokio::test]
        async fn all_of_it_holds_on_podman_too() {
            if let Some(world) = World::podman().await {
                $(
                    eprintln!("on podman: {}", stringify!($check));
                    $check(&world).await;
                )*
                world.close().await;
            }
        }
        on_each_runtime!(@on process $($check)*);
    };
    (@on $runtime:ident $($check:ident)*) => {
        mod $runtime {
            $(#[tokio::test]
            async fn $check() {
                if let Some(world) = super::World::$runtime().await {
                    super::$check(&world).await;
                    world.close().await;
                }
            })*
        }
    };
}

on_each_runtime!(
    a_sandbox_runs_one_command_after_another,
    input_and_output_are_files,
    exit_codes_and_signals_are_told,
    a_program_that_is_not_there_is_told,
    a_run_over_its_time_is_ended,
    variables_of_the_container_and_of_the_run_are_seen,
    data_is_shown,
    outputs_outlive_the_sandbox,
    too_large_a_file_is_stopped,
    removal_ends_what_still_runs,
    removing_twice_is_harmless,
    a_dropped_sandbox_is_removed,
    the_end_of_the_shim_is_noticed,
    another_worker_is_left_alone,
);

async fn a_sandbox_runs_one_command_after_another(world: &World) {
    let sandbox = world.start().await;
    for seq in 1..=3 {
        let done = done(&sandbox, run(seq, &["echo", "hello"])).await;
        assert_eq!((done.end, done.dirty), (End::Exited(0), false));
        assert_eq!(done.stdout.head, b"hello\n");
    }
    sandbox.control.remove().await.unwrap();
}

async fn input_and_output_are_files(world: &World) {
    let sandbox = world.start().await;
    let letter = sandbox.paths.host_in.join("letter");
    fs::write(&letter, "dear reader").unwrap();
    let script = format!("cat; cat '{}'/letter > '{}'/1/copy", sandbox.paths.inside_in, sandbox.paths.inside_out);
    let mut both = shell(&script);
    (both.stdin, both.stdout) = (Stdin::File("letter".into()), Stdout::Attached);
    let mut said = tempfile::tempfile().unwrap();
    let stdout = said.try_clone().unwrap().into();
    assert_eq!(done_with(&sandbox, both, Some(&stdout)).await.end, End::Exited(0));
    assert_eq!(fs::read(sandbox.paths.host_out.join("1/copy")).unwrap(), b"dear reader");
    said.rewind().unwrap();
    assert_eq!(std::io::read_to_string(said).unwrap(), "dear reader");
    sandbox.control.remove().await.unwrap();
}

async fn exit_codes_and_signals_are_told(world: &World) {
    let sandbox = world.start().await;
    assert_eq!(done(&sandbox, shell("echo why >&2; exit 7")).await.end, End::Exited(7));
    let killed = done(&sandbox, run(2, &["sh", "-c", "kill -9 $$"])).await;
    assert_eq!(killed.end, End::Signaled { signal: 9 });
    sandbox.control.remove().await.unwrap();
}

async fn a_program_that_is_not_there_is_told(world: &World) {
    let sandbox = world.start().await;
    let done = done(&sandbox, run(1, &["no-such-program"])).await;
    assert!(matches!(done.end, End::NotStarted { errno: 2, .. }), "{:?}", done.end);
    sandbox.control.remove().await.unwrap();
}

async fn a_run_over_its_time_is_ended(world: &World) {
    let sandbox = world.start().await;
    let mut sleep = run(1, &["sleep", "600"]);
    sleep.timeout_ms = Some(100);
    assert_eq!(done(&sandbox, sleep).await.end, End::TimedOut);
    assert_eq!(said(&sandbox, 2, "echo alive").await, "alive");
    sandbox.control.remove().await.unwrap();
}

async fn variables_of_the_container_and_of_the_run_are_seen(world: &World) {
    let sandbox = world.start().await;
    let mut shell = shell("echo $COLOUR $SIZE $HOME $TMPDIR [$LONGSHORE_SHIM_SOCKET]");
    shell.env = vec![("SIZE".into(), "small".into())];
    let done = done(&sandbox, shell).await;
    let scratch = &sandbox.paths.inside_scratch;
    assert_eq!(String::from_utf8(done.stdout.head).unwrap(), format!("grey small {scratch} {scratch} []\n"));
    sandbox.control.remove().await.unwrap();
}

async fn data_is_shown(world: &World) {
    let data = tempfile::tempdir().unwrap();
    fs::set_permissions(data.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    fs::write(data.path().join("index"), "whale").unwrap();
    let sandbox = world.start_with(|spec| spec.data = Some(data.path().into())).await.unwrap();
    let inside = sandbox.paths.inside_data.clone().unwrap();
    assert_eq!(said(&sandbox, 1, &format!("cat '{inside}'/index")).await, "whale");
    sandbox.control.remove().await.unwrap();
}

async fn outputs_outlive_the_sandbox(world: &World) {
    let sandbox = world.start().await;
    let script = format!("echo kept > '{}'/1/file", sandbox.paths.inside_out);
    assert_eq!(done(&sandbox, shell(&script)).await.end, End::Exited(0));
    sandbox.control.remove().await.unwrap();
    assert_eq!(fs::read(sandbox.paths.host_out.join("1/file")).unwrap(), b"kept\n");
}

async fn too_large_a_file_is_stopped(world: &World) {
    let sandbox = world.start_with(|spec| spec.max_output_bytes = 1000).await.unwrap();
    fs::write(sandbox.paths.host_in.join("large"), [0; 5000]).unwrap();
    let copy = format!("exec cat '{}'/large > '{}'/1/large", sandbox.paths.inside_in, sandbox.paths.inside_out);
    let end = done(&sandbox, shell(&copy)).await.end;
    assert!(matches!(end, End::Signaled { signal: 25 } | End::Exited(1)), "{end:?}");
    assert!(fs::metadata(sandbox.paths.host_out.join("1/large")).unwrap().len() <= 1000);
    sandbox.control.remove().await.unwrap();
}

/// A time to sleep that no other process of this machine has on its command line.
fn unique_sleep() -> String {
    format!("600.{}", uuid::Uuid::new_v4().as_u128())
}

/// Whether a process has this in its command line. Containers' processes are the host's too.
fn is_running(text: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .any(|line| String::from_utf8_lossy(&line).contains(text))
}

/// Starts a run and a daemon of it, which has left its parent, and waits until both are there.
async fn start_daemon(sandbox: &Sandbox, argument: &str) {
    let ready = sandbox.paths.host_out.join("1/ready");
    let inside = &sandbox.paths.inside_out;
    let script = format!("(sleep {argument} & ) ; echo > '{inside}'/1/ready; exec sleep {argument}");
    sandbox.shim.send(&ToShim::Run(as_somebody(sandbox, shell(&script)))).await.unwrap();
    timeout(PATIENCE, async {
        while !ready.exists() || !is_running(argument) {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}

async fn removal_ends_what_still_runs(world: &World) {
    let argument = unique_sleep();
    let sandbox = world.start().await;
    start_daemon(&sandbox, &argument).await;
    sandbox.control.remove().await.unwrap();
    assert!(!is_running(&argument));
}

async fn removing_twice_is_harmless(world: &World) {
    let sandbox = world.start().await;
    sandbox.control.remove().await.unwrap();
    sandbox.control.remove().await.unwrap();
}

async fn a_dropped_sandbox_is_removed(world: &World) {
    let argument = unique_sleep();
    let sandbox = world.start().await;
    start_daemon(&sandbox, &argument).await;
    drop(sandbox);
    let shim = world.shim_directory().display().to_string();
    timeout(PATIENCE, async {
        while is_running(&argument)
            || is_running(&shim)
            || (world.docker.is_some() && !world.containers().await.is_empty())
        {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}

async fn the_end_of_the_shim_is_noticed(world: &World) {
    let sandbox = world.start().await;
    world.kill_from_outside(&sandbox).await;
    assert!(timeout(PATIENCE, sandbox.shim.receive()).await.unwrap().is_err());
    let how = sandbox.control.post_mortem().await;
    assert_eq!((how.exit_code, how.out_of_memory), (Some(137), false), "{how:?}");
    assert!(sandbox.shim.send(&ToShim::Exit).await.is_err());
    sandbox.control.remove().await.unwrap();
}

async fn another_worker_is_left_alone(world: &World) {
    let stranger = world.alike().await;
    let sandbox = stranger.start().await;
    assert_eq!(world.runtime.sweep().await.unwrap(), 0);
    assert_eq!(stranger.runtime.sweep().await.unwrap(), 0, "its own of this life");
    assert_eq!(said(&sandbox, 1, "echo alive").await, "alive");
    sandbox.control.remove().await.unwrap();
    stranger.close().await;
}

/// The worker is gone without having removed anything, and its shim could not clean up either.
#[tokio::test]
async fn processes_of_an_earlier_life_are_swept() {
    let argument = unique_sleep();
    let world = World::process().await.unwrap();
    let sandbox = world.start().await;
    start_daemon(&sandbox, &argument).await;
    world.kill_from_outside(&sandbox).await;
    assert!(is_running(&argument));
    assert_eq!(world.next_life().await.sweep().await.unwrap(), 1);
    assert!(!is_running(&argument));
    sandbox.control.remove().await.unwrap();
    world.close().await;
}

#[tokio::test]
async fn a_worker_directory_with_a_long_path_is_no_obstacle() {
    let world = World::process().await.unwrap();
    let spec_dir = world.directory().join("long".repeat(40));
    fs::create_dir(&spec_dir).unwrap();
    let sandbox = world.start_with(|spec| spec.dir.clone_from(&spec_dir)).await.unwrap();
    assert!(Path::new(&sandbox.paths.inside_socket).as_os_str().len() < 108);
    assert_eq!(said(&sandbox, 1, "echo alive").await, "alive");
    sandbox.control.remove().await.unwrap();
    world.close().await;
}
