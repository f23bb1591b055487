//! Which job.

use clap::Args;

/// Which job.
#[derive(Debug, Args)]
pub struct JobId {
    /// The job's id, an unambiguous beginning of it, or last
    #[arg(value_name = "JOB")]
    pub id: String,
}
