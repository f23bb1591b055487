//! What must be there and is not, as far as the metadata of files shows it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::files::{Layout, failed};
use crate::{Harm, Holding, Loss, OpenError};

/// What is lost, in order, each with what it was to be. Nothing is read or changed.
///
/// # Errors
/// When it cannot be looked at.
pub(crate) fn missing(layout: &Layout, holdings: &[Holding]) -> Result<Vec<(Holding, Loss)>, OpenError> {
    let mut losses = Vec::new();
    for holding in holdings {
        let path = path(layout, holding);
        let harm = match file_bytes(&path).map_err(failed("look at", &path))? {
            None => Some(Harm::Gone),
            Some(found) => harm(holding, found),
        };
        losses.extend(harm.map(|harm| (*holding, Loss { path, harm })));
    }
    Ok(losses)
}

fn path(layout: &Layout, holding: &Holding) -> PathBuf {
    match holding {
        Holding::Pack { number, .. } => layout.pack(*number),
        Holding::File { digest, .. } => layout.file(digest),
    }
}

fn harm(holding: &Holding, found: u64) -> Option<Harm> {
    match *holding {
        Holding::Pack { bytes, .. } if found < bytes => Some(Harm::Size { found, acknowledged: bytes }),
        Holding::File { size, .. } if found != size => Some(Harm::Size { found, acknowledged: size }),
        _ => None,
    }
}

/// The length of a regular file; `None` when there is none.
fn file_bytes(path: &Path) -> io::Result<Option<u64>> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(Some(metadata.len())),
        Ok(_) => Ok(None),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}
