//! What still has to be synced, and one sync for all who wait for it.
//!
//! Whoever makes something visible notes it here first, under the lock; so a caller that has seen a blob and then calls
//! [`Durability::sync`] waits for exactly the syncs that make that blob durable, whoever put it.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use super::files::sync_dir;

#[derive(Debug, Default)]
struct State {
    /// Counts what was noted.
    noted: u64,
    /// Everything up to this count is durable.
    synced: u64,
    running: bool,
    packs: Vec<Arc<File>>,
    dirs: Vec<PathBuf>,
    /// A failed sync may have dropped pages, and a second one would report success: so the first failure is for good.
    failed: Option<Arc<io::Error>>,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Durability {
    state: Mutex<State>,
    done: Condvar,
}

impl Durability {
    /// Notes that bytes were written to this pack.
    pub(crate) fn wrote(&self, pack: &Arc<File>) {
        let mut state = self.lock();
        state.noted += 1;
        if !state.packs.iter().any(|held| Arc::ptr_eq(held, pack)) {
            state.packs.push(pack.clone());
        }
    }

    /// Runs `change`, which makes or replaces a name in `dir`, and notes it as one step: no sync can fall between.
    pub(crate) fn change_name<T>(&self, dir: &Path, change: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let mut state = self.lock();
        let changed = change()?;
        state.noted += 1;
        if !state.dirs.iter().any(|held| held == dir) {
            state.dirs.push(dir.to_owned());
        }
        Ok(changed)
    }

    /// Returns when all that was noted before the call is durable. Callers at the same time share one sync.
    pub(crate) fn sync(&self) -> io::Result<()> {
        let mut state = self.lock();
        let target = state.noted;
        loop {
            if let Some(failed) = &state.failed {
                return Err(io::Error::new(failed.kind(), failed.clone()));
            }
            if state.synced >= target {
                return Ok(());
            }
            if state.running {
                state = self.done.wait(state).unwrap_or_else(PoisonError::into_inner);
            } else {
                state = self.run(state);
            }
        }
    }

    fn run<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        state.running = true;
        let upto = state.noted;
        let packs = std::mem::take(&mut state.packs);
        let dirs = std::mem::take(&mut state.dirs);
        drop(state);
        let synced = sync_all(&packs, &dirs);
        let mut state = self.lock();
        state.running = false;
        match synced {
            Ok(()) => state.synced = upto,
            Err(error) => state.failed = Some(Arc::new(error)),
        }
        self.done.notify_all();
        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn sync_all(packs: &[Arc<File>], dirs: &[PathBuf]) -> io::Result<()> {
    packs.iter().try_for_each(|pack| pack.sync_data())?;
    dirs.iter().try_for_each(|dir| sync_dir(dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_sync_is_never_forgotten() {
        let durability = Durability::default();
        durability.change_name(Path::new("/nonexistent/dir"), || Ok(())).unwrap();
        assert_eq!(durability.sync().unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(durability.sync().unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_change_that_fails_leaves_nothing_to_sync() {
        let durability = Durability::default();
        let changed: io::Result<()> =
            durability.change_name(Path::new("/nonexistent"), || Err(io::ErrorKind::Other.into()));
        assert!(changed.is_err());
        durability.sync().unwrap();
    }

    #[test]
    fn many_threads_share_syncs_and_all_return() {
        let durability = Durability::default();
        let pack = Arc::new(tempfile::tempfile().unwrap());
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        durability.wrote(&pack);
                        durability.sync().unwrap();
                    }
                });
            }
        });
        let state = durability.lock();
        assert_eq!((state.noted, state.synced, state.packs.len()), (400, 400, 0));
    }
}
