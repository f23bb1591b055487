//! Room on the disk.

use std::{path::Path, sync::Arc};

use crate::{error::Error, limits};

/// Refuses new work while the disk is nearly full, so that running work can still be kept.
#[derive(Debug, Clone)]
pub struct DiskRoom {
    dir: Arc<Path>,
}

impl DiskRoom {
    /// Of the file system that `dir` is on.
    pub fn of(dir: &Path) -> Self {
        Self { dir: dir.into() }
    }

    /// Answers whether there is room for new work.
    ///
    /// # Errors
    /// When there is not, or it cannot be known.
    pub fn ensure(&self) -> Result<(), Error> {
        self.ensure_free(limits::FREE_BYTES)
    }

    /// Answers whether there is room for what comes of work that was accepted.
    ///
    /// # Errors
    /// When there is not, or it cannot be known.
    pub fn ensure_for_outputs(&self) -> Result<(), Error> {
        self.ensure_free(limits::FREE_FOR_OUTPUTS_BYTES)
    }

    fn ensure_free(&self, needed: u64) -> Result<(), Error> {
        let stat = rustix::fs::statvfs(&*self.dir)
            .map_err(|error| Error::internal(format!("{}: {error}", self.dir.display())))?;
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        if free < needed {
            return Err(Error::full(format!(
                "the coordinator's disk is nearly full: {free} bytes are free at {}, {needed} are needed",
                self.dir.display(),
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Unavailable;

    #[test]
    fn too_little_room_is_named_with_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let room = DiskRoom::of(dir.path());
        room.ensure_free(0).unwrap();
        let Err(Error::Unavailable(Unavailable::Full, why)) = room.ensure_free(u64::MAX) else { panic!() };
        assert!(why.contains(&dir.path().display().to_string()), "{why}");
        assert!(matches!(DiskRoom::of(&dir.path().join("gone")).ensure(), Err(Error::Broken(..))));
    }
}
