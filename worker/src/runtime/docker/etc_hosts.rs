//! The `/etc/hosts` of containers without a network: the loopback's names, and nothing else.
//!
//! An engine that has nothing to do with a container's network writes none. That is what is asked of Docker, since otherwise it
//! runs a program of its own inside each container that it starts, to take over a network that is not there: half of all that a
//! start costs.

use std::{
    fs::{self, Permissions},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// Its place inside, where engines always leave a file to mount it over.
pub(super) const INSIDE: &str = "/etc/hosts";

const LINES: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";

/// Puts the file into `directory`, which is there, and answers its path. One that is there is left alone: containers of an earlier life
/// may have it.
///
/// # Errors
/// When it cannot be written; the error names the path.
pub(super) fn write_to(directory: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(directory)?.join("hosts");
    if !fs::read(&path).is_ok_and(|there| there == LINES.as_bytes()) {
        write(directory, &path)
            .map_err(|cause| io::Error::new(cause.kind(), format!("cannot write {}: {cause}", path.display())))?;
    }
    Ok(path)
}

fn write(directory: &Path, path: &Path) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(LINES.as_bytes())?;
    file.as_file().set_permissions(Permissions::from_mode(0o444))?;
    file.persist(path).map_err(|failure| failure.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_as_it_should_be_is_written_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = write_to(directory.path()).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "127.0.0.1 other\n").unwrap();
        assert_eq!(write_to(directory.path()).unwrap(), path);
        assert_eq!(fs::read_to_string(&path).unwrap(), LINES);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o444);
    }
}
