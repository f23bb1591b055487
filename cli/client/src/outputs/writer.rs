//! The writing half of a fetch, on a blocking thread.

use tokio::sync::mpsc;

use super::{Output, OutputError};
use crate::{
    OutDir, Piece,
    blobs::{Received, verified},
    out_dir::OutFile,
};

/// What came for outputs.
#[derive(Debug)]
pub(super) struct Write {
    /// Index of the first of them.
    pub output: usize,
    pub received: Received,
}

/// Writes until the queue ends. A file that is not complete by then, or begins again, is dropped.
pub(super) fn write_all(
    mut dir: OutDir,
    outputs: &[Output],
    mut queue: mpsc::Receiver<Write>,
) -> Result<(), OutputError> {
    let mut open: Option<OutFile> = None;
    while let Some(Write { output, received }) = queue.blocking_recv() {
        match received {
            Received::Small(small) => {
                for (output, (digest, bytes)) in outputs[output..].iter().zip(small) {
                    dir.put(&output.path, &verified(digest, bytes)?)?;
                }
            }
            Received::Large(Piece::Start(_)) => open = Some(dir.create(&outputs[output].path)?),
            Received::Large(Piece::Data(bytes)) => {
                if let Some(file) = open.as_mut() {
                    file.write(&bytes)?;
                }
            }
            Received::Large(Piece::End) => {
                if let Some(file) = open.take() {
                    file.commit()?;
                }
            }
            Received::Large(Piece::Whole(bytes)) => dir.put(&outputs[output].path, &bytes)?,
        }
    }
    Ok(())
}
