//! Flags of `queue`.

use std::path::PathBuf;

use clap::Args;

use crate::setup::Setup;

/// Flags of `queue`.
#[derive(Debug, Args)]
pub struct QueueArgs {
    #[command(flatten)]
    pub setup: Setup,
    /// Items of one run
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub items: usize,
    /// Items of one run of `docker run`, which is slow
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub docker_items: usize,
    /// HyperQueue's command
    #[arg(long, value_name = "PATH")]
    pub hq: Option<PathBuf>,
    /// A Python that has `celery`, `redis` and `distributed`
    #[arg(long, value_name = "PATH", default_value = "python3")]
    pub python: PathBuf,
}
