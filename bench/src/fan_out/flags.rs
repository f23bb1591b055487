//! Flags of `fan-out`.

use clap::Args;

use crate::setup::Setup;

/// Flags of `fan-out`.
#[derive(Debug, Args)]
pub struct FanOutArgs {
    #[command(flatten)]
    pub setup: Setup,
    /// Leaves, one table for each number
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "16,64,256")]
    pub leaves: Vec<u32>,
    /// Seconds of one run
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub seconds: u64,
    /// Queries at once
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub queries: usize,
    /// Bytes of each body
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub bytes: usize,
}
