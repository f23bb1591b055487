//! A trial: one sandbox as all are started, one run in it, and everything gone again.
//!
//! What an engine says of itself is not enough: security modules, storage drivers and control groups of a machine make containers
//! fail that the engine has taken. Whoever finds that out with an item has tried the item for nothing.

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt, chown},
    path::Path,
    time::Duration,
};

use longshore_proto::v1::Container;
use longshore_shim::{Done, End, FromShim, Run, Stdin, Stdout, ToShim};
use tokio::time::timeout;

use super::{
    body::{INSIDE_OUT, INSIDE_SHIM},
    images::Images,
    limits::{self, Limit},
};
use crate::runtime::{Image, ImageRequest, Sandbox, SandboxSpec, StartError};

/// An image of nothing: the end of a tar. The trial's program is the shim, which is in every sandbox.
const NOTHING: [u8; 1024] = [0; 1024];

/// What the trial's sandbox is bounded by, so that bounds are tried too.
const MEMORY_BYTES: u64 = 64 << 20;
const CPU_MILLI: u32 = 500;

/// How long its run may take. It takes milliseconds.
const RUN: Duration = Duration::from_secs(20);

/// Name of its outputs and of files, and what goes in and has to come out.
const NAME: &str = "trial";
const LETTER: &str = "dear engine";

/// Why a trial failed.
pub(super) enum Failed {
    /// For what the engine did.
    Engine(String),
    /// For our own directories.
    Own(String),
}

impl From<String> for Failed {
    fn from(cause: String) -> Self {
        Self::Engine(cause)
    }
}

/// Makes an image called `tag`, has `start` start it with directories below `dir`, tries it out and removes all of it. Answers the
/// bounds that are not kept.
///
/// # Errors
/// With what went wrong, for people.
pub(super) async fn trial(
    images: &Images,
    tag: &str,
    dir: &Path,
    start: impl AsyncFnOnce(SandboxSpec) -> Result<Sandbox, StartError>,
) -> Result<Vec<Limit>, Failed> {
    let disk = |cause: io::Error| Failed::Own(format!("{}: {cause}", dir.display()));
    // What a trial has left that was killed.
    remove(dir).map_err(disk)?;
    images.remove(tag).await.map_err(|error| error.to_string())?;
    DirBuilder::new().mode(0o700).recursive(true).create(dir).map_err(disk)?;
    let tried = with_image(images, tag, dir, start).await;
    let image_gone = images.remove(tag).await.map_err(|error| Failed::Engine(error.to_string()));
    let dir_gone = remove(dir).map_err(disk);
    let unkept = tried?;
    image_gone.and(dir_gone).map(|()| unkept)
}

async fn with_image(
    images: &Images,
    tag: &str,
    dir: &Path,
    start: impl AsyncFnOnce(SandboxSpec) -> Result<Sandbox, StartError>,
) -> Result<Vec<Limit>, Failed> {
    let label = "LABEL longshore=probe".to_owned();
    images.import(tag, NOTHING.as_slice().into(), &[label]).await.map_err(|error| error.to_string())?;
    let image = images.resolve(&ImageRequest::of(tag)).await.map_err(|error| error.to_string())?;
    let sandbox = start(spec(image, dir)).await.map_err(|error| error.to_string())?;
    let tried = try_out(&sandbox).await;
    let gone = sandbox.control.remove().await.map_err(|error| Failed::Engine(error.to_string()));
    let unkept = tried?;
    gone.map(|()| unkept)
}

fn spec(image: Image, dir: &Path) -> SandboxSpec {
    let container = Container {
        image: image.reference.clone(),
        memory_bytes: MEMORY_BYTES,
        cpu_milli: CPU_MILLI,
        ..Container::default()
    };
    SandboxSpec {
        role: "probe",
        owner: "probe".to_owned(),
        namespace: "".into(),
        image,
        container,
        dir: dir.to_owned(),
        data: None,
        files: None,
        max_output_bytes: 1 << 20,
    }
}

/// Gives a program an input and a place for its output, as items are.
async fn try_out(sandbox: &Sandbox) -> Result<Vec<Limit>, Failed> {
    let disk = |cause: io::Error| Failed::Own(format!("{}: {cause}", sandbox.paths.host_in.display()));
    let user = sandbox.users.next().ok_or_else(|| "there is no user for a run".to_owned())?;
    let (letter, tray) = (sandbox.paths.host_in.join(NAME), sandbox.paths.host_out.join(NAME));
    fs::write(&letter, LETTER).map_err(disk)?;
    fs::set_permissions(&letter, Permissions::from_mode(0o444)).map_err(disk)?;
    DirBuilder::new().mode(0o700).create(&tray).map_err(disk)?;
    if let Some((uid, gid)) = user.owner {
        chown(&tray, Some(uid), Some(gid)).map_err(disk)?;
    }
    let run = Run {
        seq: 1,
        argv: vec![INSIDE_SHIM.to_owned(), "probe".to_owned(), format!("{INSIDE_OUT}/{NAME}/{NAME}")],
        env: Vec::new(),
        stdin: Stdin::File(NAME.to_owned()),
        stdout: Stdout::Log,
        timeout_ms: u64::try_from(RUN.as_millis()).ok(),
        grace_ms: 100,
        log_bytes: 4096,
        user: user.inside,
        secrets: Vec::new(),
        long_arguments: false,
    };
    let done =
        timeout(RUN * 2, carry_out(sandbox, run)).await.map_err(|_elapsed| "its run does not end".to_owned())??;
    if done.end != End::Exited(0) {
        let said = String::from_utf8_lossy(&done.stderr.head).trim().to_owned();
        return Err(Failed::Engine(format!("its run failed ({:?}): {said}", done.end)));
    }
    let came = fs::read_to_string(tray.join(NAME)).map_err(|cause| format!("its output did not arrive: {cause}"))?;
    if came != LETTER {
        return Err(Failed::Engine(format!("its output arrived as {came:?}, not as {LETTER:?}")));
    }
    Ok(limits::unkept(&String::from_utf8_lossy(&done.stdout.head)))
}

async fn carry_out(sandbox: &Sandbox, run: Run) -> Result<Done, String> {
    sandbox.shim.send(&ToShim::Run(run)).await.map_err(|lost| lost.to_string())?;
    match sandbox.shim.receive().await.map_err(|lost| lost.to_string())? {
        (FromShim::Done(done), _) => Ok(done),
        (other, _) => Err(format!("its shim said {other:?}")),
    }
}

fn remove(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(cause),
        _ => Ok(()),
    }
}
