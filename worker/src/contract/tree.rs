//! A tree of files that the inside only reads: a shard's data, or what was sent along with a container.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use futures_util::{StreamExt, TryStreamExt, stream};
use longshore_proto::v1::NamedBlob;

use crate::cache::{Blob, FetchBlobs};

/// Files fetched at once.
const FETCHES: usize = 16;

/// Name of the directory of what was sent along, beside a sandbox's others.
const SENT: &str = "files";

/// Why a tree cannot be laid out.
#[derive(Debug, thiserror::Error)]
#[error("file {path:?}")]
pub(crate) struct TreeError {
    /// The file's path below the directory; empty for the directory itself.
    path: String,
    /// Why it cannot be had or written.
    #[source]
    cause: io::Error,
}

/// Lays files of a namespace out in a directory, which is made if need be: readable by everybody and writable by nobody.
/// With `read_only` the inside sees it through a mount that cannot be written to, and files of the cache need not be copied.
///
/// # Errors
/// When a file cannot be had or written. What was written stays.
pub(crate) async fn lay_out(
    blobs: &dyn FetchBlobs,
    namespace: &Arc<str>,
    dir: &Path,
    files: Vec<NamedBlob>,
    read_only: bool,
) -> Result<(), TreeError> {
    make_dir(dir).map_err(|cause| TreeError { path: String::new(), cause })?;
    stream::iter(files)
        .map(|file| lay(blobs, namespace, dir, file, read_only))
        .buffer_unordered(FETCHES)
        .try_collect::<Vec<()>>()
        .await?;
    Ok(())
}

/// Lays out what was sent along with a container, in the directory of its sandbox; none where nothing was.
///
/// # Errors
/// As [`lay_out`].
pub(crate) async fn lay_out_sent(
    blobs: &dyn FetchBlobs,
    namespace: &Arc<str>,
    sandbox: &Path,
    files: &[NamedBlob],
) -> Result<Option<PathBuf>, TreeError> {
    if files.is_empty() {
        return Ok(None);
    }
    let dir = std::path::absolute(sandbox).map_err(|cause| TreeError { path: String::new(), cause })?.join(SENT);
    lay_out(blobs, namespace, &dir, files.to_vec(), false).await?;
    Ok(Some(dir))
}

async fn lay(
    blobs: &dyn FetchBlobs,
    namespace: &Arc<str>,
    below: &Path,
    file: NamedBlob,
    read_only: bool,
) -> Result<(), TreeError> {
    let about = |cause: io::Error| TreeError { path: file.path.clone(), cause };
    let digest = blake3::Hash::from_slice(&file.digest).map_err(|error| about(io::Error::other(error)))?;
    let blob = match file.inline.clone() {
        Some(bytes) => Blob::Bytes(bytes),
        None => {
            let fetched = blobs.fetch(namespace, digest, file.size).await;
            fetched.map_err(|error| about(io::Error::other(error)))?
        }
    };
    let (below, path, program) = (below.to_owned(), file.path.clone(), file.executable);
    // The cache's files are no programs.
    let may_link = read_only && !program;
    let mode = if program { 0o555 } else { 0o444 };
    let written = tokio::task::spawn_blocking(move || write(&below, &path, &blob, may_link, mode)).await;
    written.map_err(io::Error::other).flatten().map_err(about)
}

fn write(below: &Path, path: &str, blob: &Blob, may_link: bool, mode: u32) -> io::Result<()> {
    longshore_proto::path::check(path).map_err(|bad| io::Error::new(io::ErrorKind::InvalidInput, bad))?;
    let target = below.join(path);
    make_dir(target.parent().unwrap_or(below))?;
    match blob {
        Blob::File(file) if may_link && fs::hard_link(file.path(), &target).is_ok() => Ok(()),
        Blob::File(file) => copy(&mut fs::File::open(file.path())?, &target, mode),
        Blob::Bytes(bytes) => copy(&mut bytes.as_ref(), &target, mode),
    }
}

fn copy(from: &mut dyn io::Read, to: &Path, mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(to)?;
    io::copy(from, &mut file)?;
    file.flush()?;
    // Whatever our umask is.
    file.set_permissions(fs::Permissions::from_mode(mode))
}

fn make_dir(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    fs::DirBuilder::new().recursive(true).mode(0o755).create(path)
}
