//! The images: the one that was asked for, or one made of this machine's static busybox; and one with a small server.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::containers::docker;

/// Name of the image that is made of busybox.
const MADE: &str = "longshore-bench:tools";

/// What the made image can do.
const APPLETS: [&str; 9] = ["sh", "true", "seq", "xargs", "sleep", "cat", "cp", "dd", "ls"];

/// The examples' programs, one static file.
const PROGRAMS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/longshore-demo"));

/// The command that serves, in the server's image.
pub const SERVE: [&str; 2] = ["/longshore-demo", "echo"];

/// The image's name, after making sure that it is there.
pub fn ensure(asked: &str) -> Result<String> {
    if has(asked)? {
        return Ok(asked.to_owned());
    }
    if !has(MADE)? {
        make()?;
    }
    Ok(MADE.to_owned())
}

fn has(image: &str) -> Result<bool> {
    let mut inspect = Command::new("docker");
    inspect.args(["image", "inspect", image]).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(inspect.status().context("cannot run docker")?.success())
}

fn make() -> Result<()> {
    let found = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).is_file());
    let Some(busybox) = found else {
        bail!("no image with a shell is here, and no static busybox to make one of (Debian: busybox-static)");
    };
    let root = tempfile::tempdir()?;
    let bin = root.path().join("bin");
    fs::create_dir(&bin)?;
    fs::copy(busybox, bin.join("busybox"))?;
    for applet in APPLETS {
        symlink("busybox", bin.join(applet))?;
    }
    import(root.path(), MADE)
}

/// An image whose only program is a server, removed when this is dropped.
#[derive(Debug)]
pub struct ServerImage {
    /// Its name.
    pub name: String,
}

impl ServerImage {
    /// Makes it, under a name of this process's own.
    pub fn make() -> Result<Self> {
        let root = tempfile::tempdir()?;
        let program = root.path().join(SERVE[0].trim_start_matches('/'));
        fs::write(&program, PROGRAMS)?;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
        let name = format!("longshore-bench:server-{}", std::process::id());
        import(root.path(), &name)?;
        Ok(Self { name })
    }
}

impl Drop for ServerImage {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let _ = docker(&["rmi", "-f", &self.name]);
    }
}

fn import(root: &Path, name: &str) -> Result<()> {
    // A temporary directory is its owner's alone; as a container's root anybody may look in.
    fs::set_permissions(root, fs::Permissions::from_mode(0o755))?;
    let script = format!("tar -C {} -c . | docker import - {name}", root.display());
    let made = Command::new("sh").args(["-c", &script]).stdout(Stdio::null()).status()?;
    if !made.success() {
        bail!("the image {name} cannot be made");
    }
    Ok(())
}
