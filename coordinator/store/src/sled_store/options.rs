//! How a store is opened, and what was found then.

use std::{ffi::OsString, path::PathBuf, time::Duration};

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// Memory for sled's page cache. Default 64 MiB.
    pub cache_bytes: u64,
    /// Bytes kept aside on disk, given up when the disk is full so that the store can be opened again. 0 for none.
    /// Default 16 MiB.
    pub ballast_bytes: u64,
    /// Bytes that must be free to open. Default 4 MiB.
    pub open_reserve_bytes: u64,
    /// Bytes that must be free to commit, beside four times the batch's own; 0 to not look. Default 8 MiB.
    pub commit_reserve_bytes: u64,
    /// Whether the store is tried in another process first. Default off.
    pub probe: Probe,
    /// How long that process may take. Default 5 min (about 20 million entries).
    pub probe_timeout: Duration,
    /// Whether opening reads and checks every entry (in the probe's process if there is one). Default true.
    pub verify: bool,
    /// Opens a store that provably lost its newest part, or cannot prove that it did not. Default false.
    pub accept_data_loss: bool,
    /// Makes the kernel refuse `sync_file_range` in this whole process and those it starts, for good, and sets
    /// `no_new_privs`: closes the last theoretical gap between two syncs. Best set by a program's `main`. Default false.
    pub refuse_sync_file_range: bool,
    /// Where the high-water mark is kept, if not in the store's directory; elsewhere it also sees the whole directory
    /// rolled back.
    pub high_water: Option<PathBuf>,
    /// Acknowledges without syncing. Only to prove that the power-cut test can see a loss.
    #[doc(hidden)]
    pub without_sync: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cache_bytes: 64 << 20,
            ballast_bytes: 16 << 20,
            open_reserve_bytes: 4 << 20,
            commit_reserve_bytes: 8 << 20,
            probe: Probe::Off,
            probe_timeout: Duration::from_secs(300),
            verify: true,
            accept_data_loss: false,
            refuse_sync_file_range: false,
            high_water: None,
            without_sync: false,
        }
    }
}

/// Whether and how a store is tried in another process before it is opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Probe {
    /// It is not.
    #[default]
    Off,
    /// This program runs itself; its `main` must begin with [`crate::probe_main_if_asked`].
    Child,
    /// Another program is run, which must call [`crate::probe_main_if_asked`].
    Program {
        /// Its path.
        program: PathBuf,
        /// Its arguments.
        arguments: Vec<OsString>,
    },
}

/// What was found on opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// The number of the newest commit; 0 when there is none.
    pub commit_seq: u64,
    /// Whether there was nothing before.
    pub created: bool,
    /// Whether something is lost and was accepted with [`Options::accept_data_loss`].
    pub loss_accepted: bool,
    /// The newest commit that is known to be lost then.
    pub lost_up_to: Option<u64>,
}
