//! Flags that measurements share: how often, and with what.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;

/// How often, and of whom.
#[derive(Debug, Args)]
pub struct Rounds {
    /// Runs of each
    #[arg(long, global = true, value_name = "N", default_value_t = 5)]
    pub rounds: usize,
    /// Only rows whose name contains this; may be repeated
    #[arg(long, global = true, value_name = "TEXT")]
    pub only: Vec<String>,
}

impl Rounds {
    /// Whether a row of this name is wanted.
    pub fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|part| name.contains(part.as_str()))
    }
}

/// What Longshore is measured with.
#[derive(Debug, Clone, Args)]
pub struct Setup {
    /// Attempts at once
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub slots: usize,
    /// Image with a shell, `true`, `xargs`, `seq`, `cp` and `dd`; made from a static busybox of this machine where it
    /// is not there
    #[arg(long, default_value = "busybox")]
    pub image: String,
    /// The longshore command; the one beside this program unless set
    #[arg(long, value_name = "PATH")]
    pub longshore: Option<PathBuf>,
    /// Directory below which everything is kept, on the disk to measure; the system's temporary one unless set
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

impl Setup {
    /// The longshore command.
    pub fn longshore(&self) -> Result<PathBuf> {
        let beside = || Some(std::env::current_exe().ok()?.parent()?.join("longshore"));
        let binary = self.longshore.clone().or_else(beside).context("where is longshore? say so with --longshore")?;
        if !binary.is_file() {
            bail!("{} is not there: cargo build --release -p longshore", binary.display());
        }
        Ok(binary)
    }

    /// A directory of one's own, removed at the end.
    pub fn dir(&self) -> Result<tempfile::TempDir> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("longshore-bench-");
        let parent = self.parent();
        builder.tempdir_in(&parent).with_context(|| format!("cannot make a directory in {}", parent.display()))
    }

    fn parent(&self) -> PathBuf {
        self.dir.clone().unwrap_or_else(std::env::temp_dir)
    }

    /// The file system everything is kept on, for the report.
    pub fn disk(&self) -> Result<String> {
        let parent = self.parent().canonicalize()?;
        let mounts = std::fs::read_to_string("/proc/self/mounts")?;
        let mounts = mounts.lines().filter_map(|line| {
            let mut words = line.split(' ');
            Some((words.next()?, words.next()?, words.next()?))
        });
        // Of several at one place the last is on top.
        let around = mounts.filter(|(_, place, _)| parent.starts_with(place));
        let (device, _, kind) = around.max_by_key(|(_, place, _)| place.len()).context("nothing is mounted")?;
        let device = device.rsplit('/').next().unwrap_or(device);
        let journals = std::fs::read_dir("/proc/fs/jbd2").into_iter().flatten().flatten();
        let is_its = |name: &str| name.rsplit_once('-').is_some_and(|(journaled, _)| journaled == device);
        let has_journal = journals.filter_map(|entry| entry.file_name().into_string().ok()).any(|name| is_its(&name));
        Ok(match (kind, has_journal) {
            // Without a journal the inodes of removed files are not taken again for a minute or more, and every new
            // file searches past them (`recently_deleted` in the kernel's fs/ext4/ialloc.c).
            ("ext4", false) => {
                "files are on ext4 without a journal, where new files are slow after many were removed".into()
            }
            _ => format!("files are on {kind}"),
        })
    }
}
