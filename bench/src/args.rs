//! What is measured, and how often.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};

use crate::{coordinator, http, idle, latency, queue, report::Report, submit, transfer};

/// Longshore and its peers, side by side on one machine.
#[derive(Debug, Parser)]
#[command(
    name = "bench",
    after_help = "Examples:
  cargo build --release -p longshore && cargo run --release -p bench -- queue
  cargo run --release -p bench -- queue --items 2000 --rounds 3 --hq ~/hq --python ~/venv/bin/python --json queue.json"
)]
pub struct Cli {
    #[command(flatten)]
    pub rounds: Rounds,
    /// Also write everything to a file
    #[arg(long, global = true, value_name = "FILE")]
    pub json: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Command,
}

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

/// What to measure: a line here and an arm below for each.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Trivial items: a fresh process each
    Queue(queue::QueueArgs),
    /// Items of 64 KiB and 16 MiB, in and out, beside `cp`
    Transfer(transfer::TransferArgs),
    /// Requests to servers inside containers: stages and leaves, beside a direct client
    Http(http::HttpArgs),
    /// A job of one item, on a warm system and on a cold one
    Latency(latency::LatencyArgs),
    /// What it costs when there is nothing to do
    Idle(idle::IdleArgs),
    /// Submissions of many small and a few large files, and fetches of outputs, beside `tar` and `cp`
    Submit(submit::SubmitArgs),
    /// The coordinator alone, with workers that run nothing
    Coordinator(coordinator::CoordinatorArgs),
}

impl Command {
    /// Measures it.
    pub fn run(&self, rounds: &Rounds) -> Result<Report> {
        match self {
            Self::Queue(args) => queue::run(args, rounds),
            Self::Transfer(args) => transfer::run(args, rounds),
            Self::Http(args) => http::run(args, rounds),
            Self::Latency(args) => latency::run(args, rounds),
            Self::Idle(args) => idle::run(args, rounds),
            Self::Submit(args) => submit::run(args, rounds),
            Self::Coordinator(args) => coordinator::run(args, rounds),
        }
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
