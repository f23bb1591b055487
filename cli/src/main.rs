//! The `longshore` command.
//!
//! ```text
//! args (shared flags) ──► commands ──► client ──► coordinator
//!                              ├──► views ──► printer ──► standard output
//!                              └──► progress ──────────► standard error
//! serve: the one place that knows the servers' insides
//! ```

// A test that unwraps says where it failed.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod amounts;
mod args;
mod commands;
mod context;
mod contexts;
mod demo;
mod doctor;
mod exit;
mod failure;
mod fields;
mod follow;
mod interrupt;
mod logging;
mod names;
mod printer;
mod progress;
mod secret;
mod serve;
mod spec;
mod summary;
mod table;
mod usage;
mod views;
mod waiting;

use std::{ffi::OsString, io, process::ExitCode, time::Duration};

use clap::{CommandFactory, Parser};
use tokio::runtime::{Builder, Runtime};

/// How long threads that write outputs may take to remove what they began.
const TIDY_UP: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    longshore_coordinator::probe_main_if_asked();
    let cli = commands::Cli::try_parse_from(asked())
        .unwrap_or_else(|error| usage::without_global_flags(error, commands::Cli::command()).exit());
    let runtime = match runtime(&cli.command) {
        Ok(runtime) => runtime,
        Err(error) => return failure::report(&error.into()).into(),
    };
    let ended = runtime.block_on(commands::run(cli));
    // A read of standard input or of a slow disk may still block a thread; it is not waited for.
    runtime.shutdown_timeout(TIDY_UP);
    ended.unwrap_or_else(|error| failure::report(&error).into())
}

/// What was typed; `help` may itself be asked for help, as any other command.
fn asked() -> impl Iterator<Item = OsString> {
    let mut words: Vec<OsString> = std::env::args_os().collect();
    if words.get(1).is_some_and(|word| word == "help")
        && words.get(2).is_some_and(|word| word == "--help" || word == "-h")
    {
        words.truncate(2);
    }
    words.into_iter()
}

/// Servers run on every core. What asks them has one connection, and each answer handed from thread to thread would cost
/// more than all the rest that is done with it; disks are waited for on threads of their own.
fn runtime(command: &commands::Command) -> io::Result<Runtime> {
    let mut builder = if command.serves() { Builder::new_multi_thread() } else { Builder::new_current_thread() };
    builder.enable_all().build()
}
