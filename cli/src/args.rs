//! Flags that several commands share, as typed.

pub mod container;
pub mod job;
pub mod listen;
pub mod servers;
pub mod submission;

use std::path::PathBuf;

use clap::Args;
use longshore_client::DEFAULT_ADDRESS;

use crate::printer::Format;

/// Under which flags of every command stand in the help.
const GLOBAL: &str = "Global options";

/// Flags every command takes.
#[derive(Debug, Args)]
pub struct Global {
    /// Address of the coordinator
    #[arg(long, global = true, help_heading = GLOBAL, env = "LONGSHORE_ADDR", default_value = DEFAULT_ADDRESS, value_name = "HOST:PORT")]
    pub addr: String,
    /// File with the coordinator's token; without one you come in as the user you are
    #[arg(long, global = true, help_heading = GLOBAL, env = "LONGSHORE_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// How listings look
    #[arg(long, global = true, help_heading = GLOBAL, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
    /// No progress and no remarks; listings are names only
    #[arg(short, long, global = true, help_heading = GLOBAL)]
    pub quiet: bool,
}
