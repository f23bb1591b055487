//! A shard's data: its files fetched by digest, verified, and laid out under their names.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use futures_util::{StreamExt, TryStreamExt, stream};
use longshore_proto::v1::{BlobListRef, NamedBlob};

use crate::{
    cache::{
        Blob, Cache, FetchBlobs,
        lists::{self, ListError},
    },
    contract::yard::Yard,
};

/// Files fetched at once.
const FETCHES: usize = 16;

/// Why a shard's data cannot be laid out.
#[derive(Debug, thiserror::Error)]
pub(super) enum DataError {
    /// What the files are is not known.
    #[error("the list of its files")]
    List(#[from] ListError),
    /// Its directory cannot be made.
    #[error("its directory cannot be made")]
    Directory(#[source] io::Error),
    /// A file cannot be had or written.
    #[error("file {path:?}")]
    File {
        /// Its path below the directory.
        path: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

/// A shard's data on this worker. Its directory goes with this value.
pub(super) struct Data {
    dir: PathBuf,
    yard: Arc<Yard>,
}

impl Data {
    /// Lays the files of a namespace's list out in a new directory, readable by everybody and writable by nobody. With `read_only` the
    /// inside sees it through a mount that cannot be written to, and files of the cache need not be copied.
    pub async fn lay_out(
        blobs: &Cache,
        namespace: &Arc<str>,
        yard: &Arc<Yard>,
        list: &BlobListRef,
        read_only: bool,
    ) -> Result<Self, DataError> {
        let files = lists::entries(blobs, namespace, std::slice::from_ref(list)).await?;
        let about = DataError::Directory;
        // From here on, whatever happens, the directory is removed again.
        let data = Self { dir: yard.slot_dir().map_err(about)?, yard: Arc::clone(yard) };
        make_dir(&data.files()).map_err(about)?;
        let below = data.files();
        stream::iter(files)
            .map(|file| lay(blobs, namespace, &below, file, read_only))
            .buffer_unordered(FETCHES)
            .try_collect::<Vec<()>>()
            .await?;
        Ok(data)
    }

    /// Where the files are.
    pub fn files(&self) -> PathBuf {
        self.dir.join("data")
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        if let Err(error) = self.yard.remove_slot_dir(&self.dir) {
            tracing::warn!(dir = %self.dir.display(), %error, "a directory cannot be removed");
        }
    }
}

async fn lay(
    blobs: &Cache,
    namespace: &Arc<str>,
    below: &Path,
    file: NamedBlob,
    read_only: bool,
) -> Result<(), DataError> {
    let about = |cause: io::Error| DataError::File { path: file.path.clone(), cause };
    let digest = blake3::Hash::from_slice(&file.digest).map_err(|error| about(io::Error::other(error)))?;
    let blob = match file.inline.clone() {
        Some(bytes) => Blob::Bytes(bytes),
        None => {
            let fetched = blobs.fetch(namespace, digest, file.size).await;
            fetched.map_err(|error| about(io::Error::other(error)))?
        }
    };
    let (below, path) = (below.to_owned(), file.path.clone());
    let written = tokio::task::spawn_blocking(move || write(&below, &path, &blob, read_only)).await;
    written.map_err(io::Error::other).flatten().map_err(about)
}

fn write(below: &Path, path: &str, blob: &Blob, read_only: bool) -> io::Result<()> {
    longshore_proto::path::check(path).map_err(|bad| io::Error::new(io::ErrorKind::InvalidInput, bad))?;
    let target = below.join(path);
    let parent = target.parent().unwrap_or(below);
    make_dir(parent)?;
    match blob {
        Blob::File(file) if read_only && fs::hard_link(file.path(), &target).is_ok() => Ok(()),
        Blob::File(file) => copy(&mut fs::File::open(file.path())?, &target),
        Blob::Bytes(bytes) => copy(&mut bytes.as_ref(), &target),
    }
}

fn copy(from: &mut dyn io::Read, to: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o444).open(to)?;
    io::copy(from, &mut file)?;
    file.flush()?;
    // Whatever our umask is.
    file.set_permissions(fs::Permissions::from_mode(0o444))
}

fn make_dir(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    fs::DirBuilder::new().recursive(true).mode(0o755).create(path)
}
