//! Flags of `wire`.

use clap::Args;

use crate::setup::Setup;

/// Flags of `wire`.
#[derive(Debug, Args)]
pub struct WireArgs {
    #[command(flatten)]
    pub setup: Setup,
    /// Items of one run
    #[arg(long, value_name = "N", default_value_t = 5_000)]
    pub items: usize,
    /// Seconds of one run of queries
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub seconds: u64,
    /// Bytes of each query
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub bytes: usize,
    /// MiB of the blob
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub blob_mib: usize,
    /// Connections of one run of handshakes
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub handshakes: usize,
}
