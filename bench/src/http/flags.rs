//! Flags of `http`.

use clap::Args;

use crate::setup::Setup;

/// Flags of `http`.
#[derive(Debug, Args)]
pub struct HttpArgs {
    #[command(flatten)]
    pub setup: Setup,
    /// Items of one run of the stage
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    pub items: usize,
    /// Seconds of one run of everything else
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub seconds: u64,
    /// Queries at once, besides one at a time
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub queries: usize,
    /// Bytes of each body
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub bytes: usize,
}
