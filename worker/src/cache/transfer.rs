//! Bringing one blob: into memory or a file, hashed on the way.

use std::{
    io::{self, Read, Write},
    path::Path,
    sync::Arc,
};

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

use super::blob::{FetchError, Pieces};

/// Collects a small blob.
pub(super) async fn into_memory(mut pieces: Pieces, digest: blake3::Hash, size: u64) -> Result<Bytes, FetchError> {
    let mut bytes = BytesMut::new();
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        refuse_excess(digest, size, (bytes.len() + piece.len()) as u64)?;
        bytes.extend_from_slice(&piece);
    }
    verify(digest, size, bytes.len() as u64, blake3::hash(&bytes))?;
    Ok(bytes.freeze())
}

/// Writes a blob to a new file, readable by all and writable by none, and leaves it only when it is genuine.
pub(super) async fn into_file(
    mut pieces: Pieces,
    digest: blake3::Hash,
    size: u64,
    path: &Path,
) -> Result<(), FetchError> {
    let disk = |cause: io::Error| FetchError::Disk { digest, cause: Arc::new(cause) };
    let mut file = create(path).map_err(disk)?;
    let mut hasher = blake3::Hasher::new();
    let mut received = 0u64;
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        received += piece.len() as u64;
        refuse_excess(digest, size, received)?;
        // Off the async threads: a disk may stall.
        let write = tokio::task::spawn_blocking(move || {
            hasher.update(&piece);
            file.write_all(&piece).map(|()| (file, hasher))
        });
        (file, hasher) = write.await.map_err(io::Error::other).and_then(|done| done).map_err(disk)?;
    }
    verify(digest, size, received, hasher.finalize())
}

/// Whether a file holds the blob.
pub(super) fn is_genuine(path: &Path, digest: blake3::Hash, size: u64) -> bool {
    let read = || -> io::Result<(u64, blake3::Hash)> {
        let mut file = std::fs::File::open(path)?.take(size + 1);
        let mut hasher = blake3::Hasher::new();
        let read = io::copy(&mut file, &mut hasher)?;
        Ok((read, hasher.finalize()))
    };
    read().is_ok_and(|found| found == (size, digest))
}

fn create(path: &Path) -> io::Result<std::fs::File> {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o444).open(path)?;
    // The process's umask may have taken bits away that processes in containers need.
    file.set_permissions(std::fs::Permissions::from_mode(0o444))?;
    Ok(file)
}

fn refuse_excess(digest: blake3::Hash, size: u64, received: u64) -> Result<(), FetchError> {
    if received > size {
        let cause = format!("more than its {size} bytes came");
        return Err(FetchError::Corrupt { digest, cause });
    }
    Ok(())
}

fn verify(digest: blake3::Hash, size: u64, received: u64, found: blake3::Hash) -> Result<(), FetchError> {
    let cause = if received != size {
        format!("{received} of {size} bytes came")
    } else if found != digest {
        format!("its digest is {found}")
    } else {
        return Ok(());
    };
    Err(FetchError::Corrupt { digest, cause })
}
