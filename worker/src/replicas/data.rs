//! A shard's data: its files fetched by digest, verified, and laid out under their names.

use std::{io, path::PathBuf, sync::Arc};

use longshore_proto::v1::BlobListRef;

use crate::{
    cache::{
        Cache,
        lists::{self, ListError},
    },
    contract::{
        tree::{self, TreeError},
        yard::Yard,
    },
};

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
    #[error(transparent)]
    File(#[from] TreeError),
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
        tree::lay_out(blobs, namespace, &data.files(), files, read_only).await?;
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
