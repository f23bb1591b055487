//! Blobs by digest, for whoever stages inputs: the trait, and a bounded, verified cache of files before a fetcher.
//!
//! What is of one namespace is never found by another, though the bytes may be the same: each blob is asked for with its
//! namespace, whose name is empty for the one that nobody names. The room is shared by all.
//!
//! Small blobs pass through as bytes; larger ones become read-only files that stay until room is needed. What is in use
//! is never evicted. Several callers of one digest share one transfer, which goes on even if some of them give up.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use longshore_proto::SMALL_BLOB_BYTES;
use tokio::runtime::Handle;

mod blob;
pub mod given;
pub(crate) mod lists;
mod shelf;
mod transfer;

pub use blob::{Blob, CachedFile, FetchError, Pieces};
use shelf::{Key, Lookup, Shelf};

/// What can bring blobs.
pub trait FetchBlobs: Send + Sync + 'static {
    /// The namespace's blob with this digest and size, verified.
    fn fetch(&self, namespace: &Arc<str>, digest: blake3::Hash, size: u64) -> BoxFuture<'_, Result<Blob, FetchError>>;
}

/// Where the cache gets what it has not: begins to bring the namespace's blob with this digest and size. What it brings is
/// verified.
pub type Fetcher =
    Arc<dyn Fn(Arc<str>, blake3::Hash, u64) -> BoxFuture<'static, Result<Pieces, FetchError>> + Send + Sync>;

/// A way to have a large blob's file at a path without a transfer, verified; false where there is none.
pub type Linker = Arc<dyn Fn(Arc<str>, blake3::Hash, PathBuf) -> BoxFuture<'static, bool> + Send + Sync>;

type Transfer = Shared<BoxFuture<'static, Result<Blob, FetchError>>>;

/// The cache.
#[derive(Clone)]
pub struct Cache {
    inner: Arc<Inner>,
}

struct Inner {
    fetcher: Fetcher,
    linker: Option<Linker>,
    /// Where transfers run: they must outlive any single caller.
    handle: Handle,
    shelf: Mutex<Shelf>,
    transfers: Mutex<HashMap<Key, Transfer>>,
}

impl Cache {
    /// Opens the cache in `dir`, which is made if need be, with room for `max_bytes` of files. What an earlier life left
    /// there is used again, each file verified before its first use.
    ///
    /// Must be called within a tokio runtime that outlives the cache.
    ///
    /// # Errors
    /// When the directory cannot be made or read.
    pub fn open(dir: &Path, max_bytes: u64, fetcher: Fetcher) -> std::io::Result<Self> {
        Self::open_linking(dir, max_bytes, fetcher, None)
    }

    /// The same with a way to have large blobs without a transfer, which is tried first.
    ///
    /// # Errors
    /// As there.
    pub fn open_linking(dir: &Path, max_bytes: u64, fetcher: Fetcher, linker: Option<Linker>) -> std::io::Result<Self> {
        let shelf = Shelf::open(dir, max_bytes)?;
        Ok(Self {
            inner: Arc::new(Inner {
                fetcher,
                linker,
                handle: Handle::current(),
                shelf: Mutex::new(shelf),
                transfers: Mutex::new(HashMap::new()),
            }),
        })
    }

    /// Bytes of files the cache holds now, those under way included.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.inner.shelf().bytes()
    }

    /// The transfer under way for this blob, or a new one.
    fn transfer(&self, key: Key, size: u64) -> Transfer {
        let mut transfers = self.inner.transfers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(transfer) = transfers.get(&key) {
            return transfer.clone();
        }
        let (inner, asked, digest) = (Arc::clone(&self.inner), key.clone(), key.digest);
        let task = self.inner.handle.spawn(async move {
            let outcome = inner.bring(&asked, size).await;
            inner.transfers.lock().unwrap_or_else(PoisonError::into_inner).remove(&asked);
            outcome
        });
        let transfer = async move {
            task.await.unwrap_or_else(|ended| {
                Err(FetchError::Unavailable { digest, cause: format!("the transfer broke off: {ended}") })
            })
        };
        let transfer = transfer.boxed().shared();
        transfers.insert(key, transfer.clone());
        transfer
    }
}

impl FetchBlobs for Cache {
    fn fetch(&self, namespace: &Arc<str>, digest: blake3::Hash, size: u64) -> BoxFuture<'_, Result<Blob, FetchError>> {
        let key = Key { namespace: Arc::clone(namespace), digest };
        if let Lookup::Ready(file) = self.inner.shelf().look_up(&key, size) {
            return std::future::ready(Ok(Blob::File(file))).boxed();
        }
        self.transfer(key, size).boxed()
    }
}

impl Inner {
    fn shelf(&self) -> std::sync::MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn bring(&self, key: &Key, size: u64) -> Result<Blob, FetchError> {
        if size <= SMALL_BLOB_BYTES as u64 {
            let pieces = (self.fetcher)(Arc::clone(&key.namespace), key.digest, size).await?;
            return transfer::into_memory(pieces, key.digest, size).await.map(Blob::Bytes);
        }
        if let Some(file) = self.kept(key, size).await {
            return Ok(Blob::File(file));
        }
        let place = self.shelf().reserve(key, size)?;
        let outcome = self.write_file(key, size, &place.temporary, &place.path).await;
        let mut shelf = self.shelf();
        match outcome {
            Ok(()) => Ok(Blob::File(shelf.fill(key))),
            Err(error) => {
                shelf.remove(key);
                let _ = std::fs::remove_file(&place.temporary);
                Err(error)
            }
        }
    }

    /// The file on the shelf; one from an earlier life is verified first, and removed when it is not what it should be.
    async fn kept(&self, key: &Key, size: u64) -> Option<CachedFile> {
        let digest = key.digest;
        let lookup = self.shelf().look_up(key, size);
        match lookup {
            Lookup::Ready(file) => Some(file),
            Lookup::Absent => None,
            Lookup::Unverified(file) => {
                let path = file.path().to_path_buf();
                let genuine = tokio::task::spawn_blocking(move || transfer::is_genuine(&path, digest, size)).await;
                let mut shelf = self.shelf();
                if matches!(genuine, Ok(true)) {
                    shelf.verified(key);
                    return Some(file);
                }
                shelf.remove(key);
                None
            }
        }
    }

    async fn write_file(&self, key: &Key, size: u64, temporary: &Path, path: &PathBuf) -> Result<(), FetchError> {
        let digest = key.digest;
        if let Some(linker) = &self.linker
            && linker(Arc::clone(&key.namespace), digest, path.clone()).await
        {
            return Ok(());
        }
        let pieces = (self.fetcher)(Arc::clone(&key.namespace), digest, size).await?;
        transfer::into_file(pieces, digest, size, temporary).await?;
        std::fs::rename(temporary, path).map_err(|cause| FetchError::Disk { digest, cause: Arc::new(cause) })
    }
}

#[cfg(test)]
mod tests;
