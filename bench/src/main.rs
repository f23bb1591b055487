//! Longshore and its peers, side by side on one machine: the same work, in turn, several rounds, medians and ratios.
//!
//! `cargo run --release -p bench -- queue` measures trivial items. Absolute numbers are the machine's; the ratios of one
//! run are what counts. Nothing here asserts a time.

mod args;
mod image;
mod peers;
mod processes;
mod report;

use std::{collections::BTreeMap, process::ExitCode};

use anyhow::Result;
use clap::Parser;

use crate::{
    args::{Cli, Command, QueueArgs},
    peers::Measured,
    report::Report,
};

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Queue(args) => queue(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Trivial items: a fresh process each.
fn queue(args: &QueueArgs) -> Result<()> {
    let image = image::ensure(&args.image)?;
    let (mut peers, missing) = peers::all(args, &image)?;
    let mut runs: BTreeMap<String, Vec<Measured>> = BTreeMap::new();
    for round in 1..=args.rounds {
        for peer in &mut peers {
            eprintln!("round {round} of {}: {}", args.rounds, peer.name());
            let measured = peer.run()?;
            runs.entry(peer.name()).or_default().push(measured);
        }
    }
    let order: Vec<String> = peers.iter().map(|peer| peer.name()).collect();
    let report = Report::new(&order, &runs, &missing);
    println!("{}", report.text());
    if let Some(path) = &args.json {
        std::fs::write(path, serde_json::to_vec_pretty(&report)?)?;
    }
    Ok(())
}
