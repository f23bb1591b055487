//! Small files that are sent along with a container: scripts, settings.

use std::{
    collections::HashSet,
    fs::File,
    io::{self, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use longshore_proto::{
    Digest,
    bounds::{FILE_BYTES, FILES, FILES_BYTES},
    v1::NamedBlob,
};
use rustix::fs::OFlags;

use crate::{InputError, escape, inputs};

/// A file that is to be sent along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentFile {
    /// Where it is here.
    pub from: PathBuf,
    /// Its path inside; without one it is called as it is here: by its path, or by its base name where that is absolute or climbs.
    pub name: Option<String>,
}

/// A file that cannot be sent along.
#[derive(Debug, thiserror::Error)]
pub enum SentError {
    /// It cannot be read.
    #[error("cannot read {}", escape::path(path))]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It would have a name that no file can have.
    #[error(transparent)]
    Name(#[from] InputError),
    /// It is too large.
    #[error(
        "{} is larger than {FILE_BYTES} bytes; what is larger goes into the image, or is data or an input",
        escape::path(path)
    )]
    Large {
        /// Which.
        path: PathBuf,
    },
    /// There are too many.
    #[error("more than {FILES} files are sent along")]
    Many,
    /// They are too large together.
    #[error("the files that are sent along are larger than {FILES_BYTES} bytes together")]
    Bytes,
    /// Two would have the same name.
    #[error("two of the files that are sent along would both be {}", escape::line(name))]
    Twice {
        /// Which name.
        name: String,
    },
}

/// Reads files; relative paths are below `base`. The blobs bring their bytes: [`Client::upload_sent`](crate::Client::upload_sent)
/// takes them.
///
/// # Errors
/// When one cannot be read, or there are more or larger ones than a container may have.
pub fn read(files: &[SentFile], base: &Path) -> Result<Vec<NamedBlob>, SentError> {
    if files.len() > FILES {
        return Err(SentError::Many);
    }
    let (mut blobs, mut names, mut bytes) = (Vec::with_capacity(files.len()), HashSet::new(), 0);
    for file in files {
        let blob = read_one(file, base)?;
        if !names.insert(blob.path.clone()) {
            return Err(SentError::Twice { name: blob.path });
        }
        bytes += blob.size;
        blobs.push(blob);
    }
    if bytes > FILES_BYTES { Err(SentError::Bytes) } else { Ok(blobs) }
}

fn read_one(file: &SentFile, base: &Path) -> Result<NamedBlob, SentError> {
    let path = match &file.name {
        Some(name) => inputs::item_path(Path::new(name))?,
        None => inputs::listed_name(&file.from)?,
    };
    let from = base.join(&file.from);
    let (bytes, executable) = read_bytes(&from).map_err(|source| SentError::Read { path: from.clone(), source })?;
    if bytes.len() as u64 > FILE_BYTES {
        return Err(SentError::Large { path: from });
    }
    let (digest, size) = (Digest::of(&bytes).to_wire(), bytes.len() as u64);
    Ok(NamedBlob { path, digest, size, executable, inline: Some(bytes.into()), origin: String::new() })
}

/// The bytes of a file, or one more than it may have, and whether its owner may execute it.
fn read_bytes(path: &Path) -> io::Result<(Vec<u8>, bool)> {
    // What is no file is not waited for.
    let file = File::options().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES + 1).read_to_end(&mut bytes)?;
    Ok((bytes, metadata.mode() & 0o100 != 0))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    fn sent(from: &str, name: Option<&str>) -> SentFile {
        SentFile { from: from.into(), name: name.map(str::to_owned) }
    }

    #[test]
    fn files_are_called_as_they_are_or_as_is_said_and_programs_stay_programs() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("lib")).unwrap();
        fs::write(dir.path().join("run.sh"), "#!/bin/sh").unwrap();
        fs::set_permissions(dir.path().join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(dir.path().join("lib/a.py"), "").unwrap();
        let whole = dir.path().join("run.sh");
        let files = [
            sent("run.sh", None),
            sent("./lib/a.py", None),
            sent("lib/../run.sh", Some("bin/tool")),
            sent(whole.to_str().unwrap(), Some("again")),
        ];
        let blobs = read(&files, dir.path()).unwrap();
        let told: Vec<_> = blobs.iter().map(|blob| (blob.path.as_str(), blob.size, blob.executable)).collect();
        assert_eq!(told, [("run.sh", 9, true), ("lib/a.py", 0, false), ("bin/tool", 9, true), ("again", 9, true)]);
        assert_eq!(blobs[0].inline.as_deref(), Some(&b"#!/bin/sh"[..]));
        assert!(
            matches!(read(&[sent("run.sh", None), files[3].clone(), sent("lib/a.py", Some("run.sh"))], dir.path()), Err(SentError::Twice { name }) if name == "run.sh")
        );
    }

    #[test]
    fn what_is_no_file_or_too_large_or_too_much_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in [("most", FILE_BYTES), ("larger", FILE_BYTES + 1)] {
            fs::File::create(dir.path().join(name)).unwrap().set_len(bytes).unwrap();
        }
        let refused = |files: &[SentFile]| read(files, dir.path()).unwrap_err();
        assert!(matches!(refused(&[sent("absent", None)]), SentError::Read { .. }));
        assert!(matches!(refused(&[sent(".", Some("x"))]), SentError::Read { .. }));
        assert!(matches!(refused(&[sent("most", Some("../x"))]), SentError::Name(_)));
        assert!(matches!(refused(&[sent("larger", None)]), SentError::Large { .. }));
        let many: Vec<SentFile> = (0..=FILES).map(|at| sent("most", Some(&at.to_string()))).collect();
        assert!(matches!(refused(&many), SentError::Many));
        assert!(matches!(refused(&many[..5]), SentError::Bytes));
        assert_eq!(read(&many[..4], dir.path()).unwrap().len(), 4);
    }
}
