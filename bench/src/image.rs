//! The image everybody uses: the one that was asked for, or one made of this machine's static busybox.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

/// Name of an image that is made here.
const MADE: &str = "longshore-bench:tools";

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
    std::fs::create_dir(&bin)?;
    std::fs::copy(busybox, bin.join("busybox"))?;
    for applet in ["sh", "true", "seq", "xargs", "sleep", "cat", "cp", "dd", "ls"] {
        std::os::unix::fs::symlink("busybox", bin.join(applet))?;
    }
    let script = format!("tar -C {} -c . | docker import - {MADE}", root.path().display());
    let made = Command::new("sh").args(["-c", &script]).stdout(Stdio::null()).status()?;
    if !made.success() {
        bail!("the image {MADE} cannot be made");
    }
    Ok(())
}
