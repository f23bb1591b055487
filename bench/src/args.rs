//! What is measured, and how often.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Longshore and its peers, side by side on one machine.
#[derive(Debug, Parser)]
#[command(
    name = "bench",
    after_help = "Examples:
  cargo build --release -p longshore && cargo run --release -p bench -- queue
  cargo run --release -p bench -- queue --items 2000 --rounds 3 --hq ~/hq --json queue.json"
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

/// What to measure.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Trivial items: a fresh process each
    Queue(QueueArgs),
}

/// Flags of `queue`.
#[derive(Debug, Args)]
pub struct QueueArgs {
    /// Items of one run
    #[arg(long, default_value_t = 10_000)]
    pub items: usize,
    /// Items of one run of `docker run`, which is slow
    #[arg(long, default_value_t = 20)]
    pub docker_items: usize,
    /// Runs of each
    #[arg(long, default_value_t = 5)]
    pub rounds: usize,
    /// Processes at once
    #[arg(long, default_value_t = 2)]
    pub slots: usize,
    /// Image with `true`, `xargs`, `seq` and `sh`; made from a static busybox of this machine where it is not there
    #[arg(long, default_value = "busybox")]
    pub image: String,
    /// The longshore command
    #[arg(long, value_name = "PATH")]
    pub longshore: Option<PathBuf>,
    /// HyperQueue's command (the Python package `hyperqueue` carries it)
    #[arg(long, value_name = "PATH")]
    pub hq: Option<PathBuf>,
    /// Also write everything to a file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}
