//! Flags of `coordinator`.

use std::path::PathBuf;

use clap::Args;

use crate::setup::Setup;

/// Flags of `coordinator`.
#[derive(Debug, Args)]
pub struct CoordinatorArgs {
    /// Items of the job, one row for each number
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "10000,100000,1000000")]
    pub items: Vec<u64>,
    /// Workers, one row for each number
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1,2,1000")]
    pub workers: Vec<u32>,
    /// Map stages of the job, each over the outputs of the one before, one row for each number
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1", value_parser = clap::value_parser!(u16).range(1..=16))]
    pub stages: Vec<u16>,
    /// Slots of all workers together, at least one each
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub slots: u32,
    /// Run time that workers report of each item, microseconds
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub run_us: u64,
    /// The longshore command; the one beside this program unless set
    #[arg(long, value_name = "PATH")]
    pub longshore: Option<PathBuf>,
    /// Directory below which everything is kept, on the disk to measure; the system's temporary one unless set
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

impl CoordinatorArgs {
    /// What Longshore is measured with.
    pub fn setup(&self) -> Setup {
        Setup { slots: 1, image: String::new(), longshore: self.longshore.clone(), dir: self.dir.clone() }
    }
}
