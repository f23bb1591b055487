//! The writing half of a fetch, on a blocking thread.

use tokio::sync::mpsc;

use super::Output;
use crate::{OutDir, OutDirError, Piece, out_dir::OutFile};

/// A piece of one output, by its index.
#[derive(Debug)]
pub(super) struct WriteStep {
    pub output: usize,
    pub piece: Piece,
}

/// Writes until the queue ends. A file that is not complete by then, or begins again, is dropped.
pub(super) fn write_all(
    mut dir: OutDir,
    outputs: &[Output],
    mut queue: mpsc::Receiver<WriteStep>,
) -> Result<(), OutDirError> {
    let mut open: Option<OutFile> = None;
    while let Some(step) = queue.blocking_recv() {
        let path = &outputs[step.output].path;
        match step.piece {
            Piece::Whole(bytes) => {
                let mut file = dir.create(path)?;
                file.write(&bytes)?;
                file.commit()?;
            }
            Piece::Start(_) => open = Some(dir.create(path)?),
            Piece::Data(bytes) => {
                if let Some(file) = open.as_mut() {
                    file.write(&bytes)?;
                }
            }
            Piece::End => {
                if let Some(file) = open.take() {
                    file.commit()?;
                }
            }
        }
    }
    Ok(())
}
