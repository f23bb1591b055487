//! The command line: what is measured.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::{coordinator, fan_out, http, idle, latency, queue, report::Report, setup::Rounds, submit, transfer, wire};

/// Longshore and its peers, side by side on one machine.
#[derive(Debug, Parser)]
#[command(
    name = "bench",
    after_help = "Examples:
  cargo build --release -p longshore && cargo run --release -p bench -- queue
  cargo run --release -p bench -- queue --items 2000 --rounds 3 --hq ~/hq --python ~/venv/bin/python --json queue.json"
)]
pub struct Cli {
    #[command(flatten)]
    pub rounds: Rounds,
    /// Also write everything to a file
    #[arg(long, global = true, value_name = "FILE")]
    pub json: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Command,
}

/// What to measure: a line here and an arm below for each.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Trivial items: a fresh process each
    Queue(queue::QueueArgs),
    /// Items of 64 KiB and 16 MiB, in and out, beside `cp`
    Transfer(transfer::TransferArgs),
    /// Requests to servers inside containers: stages and leaves, beside a direct client
    Http(http::HttpArgs),
    /// Queries to many leaves, beside a client that asks the same servers by itself
    FanOut(fan_out::FanOutArgs),
    /// A job of one item, on a warm system and on a cold one
    Latency(latency::LatencyArgs),
    /// What it costs when there is nothing to do
    Idle(idle::IdleArgs),
    /// Submissions of many small and a few large files, and fetches of outputs, beside `tar` and `cp`
    Submit(submit::SubmitArgs),
    /// The same work by the socket, by the port with a token, and by TLS; joining, and handshakes
    Wire(wire::WireArgs),
    /// The coordinator alone, with workers that run nothing
    Coordinator(coordinator::CoordinatorArgs),
}

impl Command {
    /// Measures it.
    pub fn run(&self, rounds: &Rounds) -> Result<Report> {
        match self {
            Self::Queue(args) => queue::run(args, rounds),
            Self::Transfer(args) => transfer::run(args, rounds),
            Self::Http(args) => http::run(args, rounds),
            Self::FanOut(args) => fan_out::run(args, rounds),
            Self::Latency(args) => latency::run(args, rounds),
            Self::Idle(args) => idle::run(args, rounds),
            Self::Submit(args) => submit::run(args, rounds),
            Self::Wire(args) => wire::run(args, rounds),
            Self::Coordinator(args) => coordinator::run(args, rounds),
        }
    }
}
