//! One command a file: arguments, what they mean, and the view that answers.

pub mod completions;
pub mod doctor;
pub mod job;
pub mod query;
pub mod run;
pub mod service;
pub mod submit;
pub mod worker;

use std::process::ExitCode;

use anyhow::Result;

use crate::{
    args::{Cli, Command},
    context::Context,
    demo, logging, serve,
};

/// Runs what was typed.
pub async fn run(cli: Cli) -> Result<ExitCode> {
    let context = Context::new(&cli.global);
    logging::start(match cli.command {
        Command::Up(_) | Command::Coordinator(_) | Command::Worker(_) => "info",
        _ => "warn",
    });
    if cli.command.serves() {
        serve::settle();
    }
    let exit = match cli.command {
        Command::Up(args) => return serve::up(args).await,
        Command::Coordinator(args) => return serve::coordinator(args).await,
        Command::Worker(args) => return worker::run(args, &context).await,
        Command::Demo(args) => return demo::demo(args, &context).await,
        Command::Run(args) => run::run(*args, &context).await,
        Command::Submit(args) => submit::run(*args, &context).await,
        Command::Job(command) => job::run(command, &context).await,
        Command::Ps => job::ls::run(&context).await,
        Command::Logs(args) => job::logs::run(args, &context).await,
        Command::Wait(args) => job::wait::run(args, &context).await,
        Command::Cancel(args) => job::cancel::run(args, &context).await,
        Command::Service(command) => service::run(command, &context).await,
        Command::Query(args) => query::run(args, &context).await,
        Command::Doctor => doctor::run(&context).await,
        Command::Completions(args) => completions::run(&args),
    };
    exit.map(ExitCode::from)
}
