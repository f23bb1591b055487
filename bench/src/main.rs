//! Longshore and its peers, side by side on one machine: the same work, in turn, several rounds, medians and ratios.
//!
//! `cargo run --release -p bench -- queue` measures trivial items; `--help` lists the rest. Absolute numbers are the
//! machine's; the ratios of one run are what counts. Nothing here asserts a time.
//!
//! Another measurement is a module with its flags and `run`, and a line in [`args::Command`].

mod args;
mod containers;
mod contender;
mod coordinator;
mod fan_out;
mod http;
mod idle;
mod image;
mod jobs;
mod latency;
mod longshore;
mod processes;
mod queue;
mod report;
mod run;
mod setup;
mod submit;
mod transfer;
mod wire;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;

use crate::args::Cli;

fn main() -> ExitCode {
    match measure(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(cli: &Cli) -> Result<()> {
    let report = cli.command.run(&cli.rounds)?;
    println!("{}", report.text());
    if let Some(path) = &cli.json {
        std::fs::write(path, serde_json::to_vec_pretty(&report)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
