//! The directories of one sandbox on the host.

use std::{
    fs::{self, Permissions},
    io,
    os::{fd::OwnedFd, unix::fs::PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, Mode, OFlags, openat};

/// Directories below [`SandboxSpec::dir`](super::SandboxSpec::dir), which nobody but us may enter.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    /// Inputs: we write, the inside reads.
    pub(super) inputs: PathBuf,
    /// Outputs: a directory for each run, which we make and the inside writes to, whoever it runs as.
    pub(super) outputs: PathBuf,
    /// The socket of the shim.
    pub(super) control: PathBuf,
    base: PathBuf,
}

impl Layout {
    /// Makes them.
    ///
    /// # Errors
    /// When one cannot be made, also when it exists: then the sandbox's directory was not fresh. The error names it.
    pub(super) fn make(base: &Path) -> io::Result<Self> {
        let base = std::path::absolute(base)?;
        Ok(Self {
            // What lies in these two is to be reached by name only.
            inputs: directory(&base, "in", 0o711)?,
            outputs: directory(&base, "out", 0o711)?,
            control: directory(&base, "control", 0o755)?,
            base,
        })
    }

    /// Makes so many directories for temporary files, which the inside writes to, whoever it runs as; they go with the
    /// sandbox's directory.
    ///
    /// # Errors
    /// As [`Layout::make`].
    pub(super) fn temporary(&self, count: usize) -> io::Result<Vec<PathBuf>> {
        let base = directory(&self.base, "tmp", 0o711)?;
        (0..count).map(|number| directory(&base, &number.to_string(), 0o1777)).collect()
    }
}

/// Opens a directory of ours.
pub(super) fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(CWD, path, flags, Mode::empty())?)
}

/// Makes one directory with exactly this mode, whatever the umask.
pub(super) fn directory(base: &Path, name: &str, mode: u32) -> io::Result<PathBuf> {
    let path = base.join(name);
    fs::create_dir(&path)
        .and_then(|()| fs::set_permissions(&path, Permissions::from_mode(mode)))
        .map_err(|cause| io::Error::new(cause.kind(), format!("cannot make {}: {cause}", path.display())))?;
    Ok(path)
}
