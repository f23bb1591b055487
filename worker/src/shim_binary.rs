//! The shim this worker carries inside, built static by `build.rs`, and how it gets onto disk.

use std::{
    fs::{self, File, Permissions},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// The program's bytes.
pub const BYTES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/longshore-shim"));

/// Puts the shim into `directory`, which is made if need be, and answers its path.
///
/// The file's name has the hash of its bytes, so a newer worker never changes the file that a running container has
/// mounted, and calling this again finds what is there. It is mode 0555 and on disk in full before it has its name.
///
/// # Errors
/// When the directory or the file cannot be written; the error names the path.
pub fn write_to(directory: &Path) -> io::Result<PathBuf> {
    let digest = blake3::hash(BYTES).to_hex();
    let path = std::path::absolute(directory)?.join(format!("longshore-shim-{}", &digest[..16]));
    if is_there(&path) {
        return Ok(path);
    }
    write(directory, &path).map_err(|cause| {
        io::Error::new(cause.kind(), format!("cannot write the shim to {}: {cause}", path.display()))
    })?;
    Ok(path)
}

/// Whether the file has our bytes: a torn or changed one is written again.
fn is_there(path: &Path) -> bool {
    let executable = fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o777 == 0o555);
    executable && fs::read(path).is_ok_and(|bytes| bytes == BYTES)
}

fn write(directory: &Path, path: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(BYTES)?;
    file.as_file().set_permissions(Permissions::from_mode(0o555))?;
    file.as_file().sync_all()?;
    // Close the writable descriptor first: a program that someone has open for writing cannot be started.
    file.into_temp_path().persist(path).map_err(|failure| failure.error)?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writing_twice_gives_the_same_executable_file() {
        let directory = tempfile::tempdir().unwrap();
        let first = write_to(directory.path()).unwrap();
        let written = fs::metadata(&first).unwrap();
        let second = write_to(directory.path()).unwrap();
        assert_eq!(first, second);
        assert_eq!(fs::metadata(&second).unwrap().modified().unwrap(), written.modified().unwrap());
        assert_eq!(written.permissions().mode() & 0o777, 0o555);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_torn_file_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = write_to(directory.path()).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, &BYTES[..100]).unwrap();
        assert_eq!(fs::read(write_to(directory.path()).unwrap()).unwrap(), BYTES);
    }

    /// `PT_INTERP` is how a program asks for a loader that a container may not have.
    #[test]
    fn the_shim_needs_no_loader() {
        assert_eq!(&BYTES[..4], b"\x7fELF");
        assert_eq!(BYTES[4], 2, "64 bit");
        let offset = u64::from_le_bytes(BYTES[32..40].try_into().unwrap()) as usize;
        let (size, count) = (u16_at(54), u16_at(56));
        let kinds = (0..count).map(|i| {
            let at = offset + i * size;
            u32::from_le_bytes(BYTES[at..at + 4].try_into().unwrap())
        });
        assert!(!kinds.collect::<Vec<_>>().contains(&3));
    }

    fn u16_at(at: usize) -> usize {
        usize::from(u16::from_le_bytes([BYTES[at], BYTES[at + 1]]))
    }
}
