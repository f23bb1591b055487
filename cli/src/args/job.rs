//! Which job.

use clap::Args;

/// Which job.
#[derive(Debug, Args)]
pub struct JobId {
    /// The job's id, the beginning or end of it, its name, or last
    #[arg(value_name = "JOB")]
    pub id: String,
}

/// Which jobs.
#[derive(Debug, Args)]
pub struct JobIds {
    /// The jobs' ids, unambiguous beginnings of them, or last
    #[arg(value_name = "JOB", required = true)]
    pub ids: Vec<String>,
}
