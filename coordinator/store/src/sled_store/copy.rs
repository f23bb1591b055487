//! Looking into a store without changing it. sled writes whenever it opens, so a copy is opened.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    commit::SledStore,
    layout::{DirLock, Layout, failed},
    options::Options,
};
use crate::OpenError;

/// Keeps a store from being opened as long as it lives.
#[derive(Debug)]
pub struct Closed {
    _lock: Option<DirLock>,
}

impl SledStore {
    /// Keeps the store in `dir`, if there is one, from being opened by anybody. Nothing in `dir` is changed.
    ///
    /// # Errors
    /// When it is in use, or its lock cannot be had.
    pub fn keep_closed(dir: &Path) -> Result<Closed, OpenError> {
        Ok(Closed { _lock: DirLock::share(&Layout { dir: dir.to_owned() })? })
    }

    /// Opens a copy, made in `scratch`, of the store in `dir`, which must be kept closed meanwhile. Errors name the files in
    /// `dir`. Nothing in `dir` is changed.
    ///
    /// # Errors
    /// As [`SledStore::open`] of `dir` itself would give, and when it cannot be copied.
    pub fn open_copy(dir: &Path, scratch: &Path, options: &Options) -> Result<Self, OpenError> {
        let (from, to) = (Layout { dir: dir.to_owned() }, Layout { dir: scratch.join("store") });
        copy(&from.sled(), &to.sled())?;
        if from.high_water().exists() {
            copy_file(&from.high_water(), &to.high_water())?;
        }
        let options = Options { ballast_bytes: 0, ..options.clone() };
        let opened = Self::open(&to.dir, &options).map(|(store, _)| store);
        opened.map_err(|mut error| {
            if matches!(error, OpenError::NoSpace { .. }) {
                // That is the copy's own trouble.
                return error;
            }
            let path = error.path_mut();
            if let Ok(below) = path.strip_prefix(&to.dir) {
                *path = if below == Path::new("") { from.dir.clone() } else { from.dir.join(below) };
            }
            error
        })
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), OpenError> {
    fs::create_dir_all(to).map_err(failed("create", to))?;
    let entries = match fs::read_dir(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(failed("read", from))?,
    };
    for entry in entries {
        let path: PathBuf = entry.map_err(failed("read", from))?.path();
        let to = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy(&path, &to)?;
        } else {
            copy_file(&path, &to)?;
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> Result<(), OpenError> {
    fs::copy(from, to).map(drop).map_err(failed("copy", from))
}
