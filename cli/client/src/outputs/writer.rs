//! The writing half of a fetch, on a blocking thread.

use std::{fs::File, os::unix::fs::FileExt};

use tokio::sync::mpsc;

use super::{error::OutputError, output::Output};
use crate::{
    BlobError, OutDir, Piece,
    blobs::{Received, verified},
    out_dir::OutFile,
};

/// Bytes copied and hashed at a time: they stay in the processor's cache between the two.
const CHUNK_BYTES: usize = 256 << 10;

/// What came for outputs.
#[derive(Debug)]
pub(super) struct Write {
    /// Index of the first of them.
    pub output: usize,
    pub came: Came,
}

/// How it came.
#[derive(Debug)]
pub(super) enum Came {
    /// Through the connection.
    Blobs(Received),
    /// As a file of so many bytes, yet to be verified.
    File(File, u64),
}

/// Writes until the queue ends. A file that is not complete by then, or begins again, is dropped.
pub(super) fn write_all(
    mut dir: OutDir,
    outputs: &[Output],
    mut queue: mpsc::Receiver<Write>,
) -> Result<(), OutputError> {
    let mut open: Option<OutFile> = None;
    while let Some(Write { output, came }) = queue.blocking_recv() {
        match came {
            Came::Blobs(Received::Small(small)) => {
                for (output, (digest, bytes)) in outputs[output..].iter().zip(small) {
                    dir.put(output.place(), &verified(digest, bytes)?)?;
                }
            }
            Came::Blobs(Received::Large(Piece::Start(_))) => open = Some(dir.create(outputs[output].place())?),
            Came::Blobs(Received::Large(Piece::Data(bytes))) => {
                if let Some(file) = open.as_mut() {
                    file.write(&bytes)?;
                }
            }
            Came::Blobs(Received::Large(Piece::End)) => {
                if let Some(file) = open.take() {
                    file.commit()?;
                }
            }
            Came::Blobs(Received::Large(Piece::Whole(bytes))) => dir.put(outputs[output].place(), &bytes)?,
            Came::File(from, size) => copy(&mut dir, &outputs[output], &from, size)?,
        }
    }
    Ok(())
}

/// The file appears only if its bytes are the digest's.
fn copy(dir: &mut OutDir, output: &Output, from: &File, size: u64) -> Result<(), OutputError> {
    let damaged = || BlobError::Damaged { digest: output.digest };
    let mut file = dir.create(output.place())?;
    let mut hasher = blake3::Hasher::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    while hasher.count() < size {
        let read = from.read_at(&mut chunk, hasher.count()).map_err(|_| damaged())?;
        if read == 0 {
            break;
        }
        hasher.update(&chunk[..read]);
        file.write(&chunk[..read])?;
    }
    match hasher.finalize() == *output.digest.as_bytes() {
        true => Ok(file.commit()?),
        false => Err(damaged().into()),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _};

    use super::*;
    use longshore_proto::Digest;

    #[test]
    fn a_file_handed_over_appears_only_if_it_is_the_blob() {
        let dir = tempfile::tempdir().unwrap();
        let content = vec![7; CHUNK_BYTES * 2 + 5];
        let mut blob = tempfile::tempfile().unwrap();
        blob.write_all(&content).unwrap();
        let output = |path: &str, digest| Output {
            path: path.to_owned(),
            digest,
            size: content.len() as u64,
            executable: false,
            item: "item".into(),
            inline: None,
        };
        let mut out = OutDir::open(dir.path()).unwrap();
        copy(&mut out, &output("right", Digest::of(&content)), &blob, content.len() as u64).unwrap();
        for (size, digest) in [(content.len(), Digest::of(b"other")), (content.len() - 1, Digest::of(&content))] {
            let copied = copy(&mut out, &output("wrong", digest), &blob, size as u64 - CHUNK_BYTES as u64);
            assert!(matches!(copied, Err(OutputError::Blob(BlobError::Damaged { .. }))));
        }
        assert_eq!(fs::read(dir.path().join("right")).unwrap(), content);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
