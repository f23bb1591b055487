//! The worker's own trouble is never the item's: a full disk, and an engine that is away or hangs.

use std::{
    path::Path,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::copy_bidirectional,
    net::{UnixListener, UnixStream},
    sync::watch,
};

use super::{docker::PROGRAMS, *};
use crate::{
    host_image,
    runtime::docker::{DockerOptions, DockerRuntime},
};

/// A small disk of the test's own, below `dir`; none where only root could make one.
struct Small(std::path::PathBuf);

impl Small {
    fn mount(dir: &Path) -> Option<Self> {
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=32m", "tmpfs"]).arg(dir).output();
        mounted.is_ok_and(|done| done.status.success()).then(|| Self(dir.to_owned()))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[tokio::test]
async fn no_item_fails_while_the_disk_of_its_worker_is_full_and_all_succeed_afterwards() {
    let dir = tempfile::tempdir().unwrap();
    let Some(_small) = Small::mount(dir.path()) else {
        eprintln!("skipped: only root can mount a small disk");
        return;
    };
    let (fill, gate) = (dir.path().join("fill"), dir.path().join("gate"));
    let runtime = ProcessRuntime::new(Uuid::new_v4(), &dir.path().join("shim")).unwrap();
    let mut world = World::over(Arc::new(runtime), "any", 2, dir, |_| {});
    // The first two fill the disk, and fail by that as any command would.
    let line = format!(
        "mkdir {gate} 2>/dev/null && {{ head -c 64m /dev/zero > {fill}; exit 3; }}; head -c 100000 /dev/zero > \"{{out}}\"",
        gate = gate.display(),
        fill = fill.display()
    );
    let stage = world.shell(&line);
    let names: Vec<String> = (0..12).map(|number| number.to_string()).collect();
    let inputs: Vec<_> = names.iter().map(|name| (name.as_str(), "hello")).collect();
    let work = world.map(stage, &inputs);
    world.executor.submit(work);
    let full = || fill.metadata().is_ok_and(|it| it.len() > 16 << 20);
    while !full() || !world.executor.shared.is_short_of_room() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    std::fs::remove_file(&fill).unwrap();
    assert!(world.executor.shared.options.fitness.condition().trouble().is_none_or(|it| it.contains("disk is full")));
    for _ in &names {
        let finished = timeout(PATIENCE, world.results.recv()).await.unwrap().unwrap();
        assert!(matches!(finished.ended, Ended::Success { .. } | Ended::Returned), "{finished:?}");
    }
    world.end().await;
}

/// What a proxy does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Pass,
    /// Connections are dropped.
    Off,
    /// Nothing is answered any more.
    Hang,
}

/// A way to the engine that can be cut.
struct Proxy {
    mode: watch::Sender<Mode>,
    refused: Arc<AtomicUsize>,
}

impl Proxy {
    fn at(path: &Path) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let (mode, modes) = watch::channel(Mode::Pass);
        let refused = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&refused);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if *modes.borrow() == Mode::Off {
                    counted.fetch_add(1, Ordering::SeqCst);
                    continue;
                }
                tokio::spawn(carry(stream, modes.clone()));
            }
        });
        Self { mode, refused }
    }

    fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

async fn carry(mut stream: UnixStream, mut modes: watch::Receiver<Mode>) {
    if *modes.borrow() == Mode::Pass {
        let mut engine = UnixStream::connect("/var/run/docker.sock").await.unwrap();
        tokio::select! {
            _ = copy_bidirectional(&mut stream, &mut engine) => return,
            _ = modes.wait_for(|mode| *mode != Mode::Pass) => {}
        }
    }
    // Dropped at once, or kept without an answer until the engine is there again.
    let _ = modes.wait_for(|mode| *mode != Mode::Hang).await;
}

/// A world over Docker behind a proxy, whose warm containers go soon; and another life of the same worker, which sees what is
/// left behind. None where no Docker answers.
async fn behind_a_proxy() -> Option<(World, Proxy, DockerRuntime, String)> {
    let dir = tempfile::tempdir().unwrap();
    let worker = Uuid::new_v4();
    let options = DockerOptions::new(worker, dir.path().join("shim"));
    let other = match DockerRuntime::connect(options.clone()).await {
        Ok(other) => other,
        Err(error) => {
            let required = std::env::var_os("LONGSHORE_REQUIRE_DOCKER").is_some_and(|value| value == "1");
            assert!(!required, "{error}");
            eprintln!("skipped, as no Docker answers: {error}");
            return None;
        }
    };
    let image = format!("longshore-test-trouble:{}", Uuid::new_v4().simple());
    other.import_image(&image, host_image::tar(&PROGRAMS, &[]).into(), &[]).await.unwrap();
    let socket = dir.path().join("docker.sock");
    let proxy = Proxy::at(&socket);
    let host = Some(format!("unix://{}", socket.display()));
    let runtime = DockerRuntime::connect(DockerOptions { host, ..options }).await.unwrap();
    let world = World::over(Arc::new(runtime), &image, 1, dir, |options| {
        options.idle = Duration::from_millis(200);
        options.parting = Duration::from_millis(700);
    });
    Some((world, proxy, other, image))
}

#[tokio::test]
async fn a_container_that_could_not_be_removed_is_removed_when_the_engine_is_back_or_at_the_end() {
    let Some((mut world, proxy, other, image)) = behind_a_proxy().await else { return };
    let stage = world.shell("cat \"{in}\" > \"{out}\"");
    assert_eq!(world.outputs(stage, "a", "x").await, [pair("a", "x")]);
    proxy.set(Mode::Off);
    let begun = Instant::now();
    while proxy.refused.load(Ordering::SeqCst) == 0 {
        assert!(begun.elapsed() < PATIENCE, "nothing was to be removed");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    proxy.set(Mode::Pass);
    world.end().await;
    assert_eq!(other.sweep().await.unwrap(), 0);
    other.remove_image(&image).await.unwrap();
}

#[tokio::test]
async fn the_end_is_bounded_beside_an_engine_that_hangs() {
    let Some((mut world, proxy, other, image)) = behind_a_proxy().await else { return };
    let stage = world.shell("cat \"{in}\" > \"{out}\"");
    assert_eq!(world.outputs(stage, "a", "x").await, [pair("a", "x")]);
    proxy.set(Mode::Hang);
    timeout(Duration::from_secs(20), world.executor.shutdown()).await.expect("it ends");
    proxy.set(Mode::Pass);
    // What was left is found by the next life.
    assert!(other.sweep().await.unwrap() <= 1);
    other.remove_image(&image).await.unwrap();
}
