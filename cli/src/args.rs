//! Flags that several commands share, as typed.

pub mod container;
pub mod job;
pub mod listen;
pub mod servers;
pub mod submission;

use std::{path::PathBuf, str::FromStr, time::Duration};

use crate::printer::Format;
use clap::Args;

/// Under which flags of every command stand in the help.
const GLOBAL: &str = "Global options";

/// Flags every command takes.
#[derive(Debug, Args)]
pub struct Global {
    /// Address of the coordinator
    ///
    /// Otherwise LONGSHORE_ADDR, LONGSHORE_CONTEXT, the current context, or 127.0.0.1:7077
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "HOST:PORT", conflicts_with = "context")]
    pub addr: Option<String>,
    /// Name of a context, see `longshore login`
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "NAME")]
    pub context: Option<String>,
    /// Whose jobs and services
    ///
    /// Otherwise LONGSHORE_NAMESPACE, what the context says, or your own
    #[arg(short, long, global = true, help_heading = GLOBAL, value_name = "NAME")]
    pub namespace: Option<String>,
    /// File with your token, - for standard input; without one you come in as the user you are
    ///
    /// Otherwise the token of a context named by --context, LONGSHORE_TOKEN_FILE, LONGSHORE_TOKEN, or the context's
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// How long to wait for a coordinator that is away, such as while it restarts; 0s for not at all
    ///
    /// Otherwise LONGSHORE_CONNECT_TIMEOUT, or 10s for one that has not answered yet and 60s for one that has
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "TIME")]
    pub connect_timeout: Option<Wait>,
    /// How listings look
    #[arg(long, global = true, help_heading = GLOBAL, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
    /// No progress and no remarks; listings are names only
    #[arg(short, long, global = true, help_heading = GLOBAL)]
    pub quiet: bool,
}

/// How long to wait, in words such as `30s`; unlike other times it may be none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait(pub Duration);

impl FromStr for Wait {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = if text == "0" { "0s" } else { text };
        humantime::parse_duration(text).map(Wait).map_err(|_| format!("`{text}` is no time, such as 30s or 2m"))
    }
}
