//! The command line as a whole. One command a file: arguments, what they mean, and the view that answers.

pub mod completions;
pub mod contexts;
pub mod doctor;
pub mod job;
pub mod login;
pub mod query;
pub mod run;
pub mod secret;
pub mod service;
pub mod submit;
pub mod token;
pub mod worker;

use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory as _, Parser, Subcommand};

use self::{
    completions::CompletionsArgs,
    contexts::ContextCommand,
    doctor::DoctorArgs,
    job::{JobCommand, cancel::CancelArgs, logs::LogsArgs, wait::WaitArgs},
    login::LoginArgs,
    query::QueryArgs,
    run::RunArgs,
    secret::SecretCommand,
    service::ServiceCommand,
    submit::SubmitArgs,
    token::TokenCommand,
    worker::WorkerCommand,
};
use crate::{
    args::{
        Global,
        servers::{CoordinatorArgs, UpArgs},
    },
    context::Context,
    demo::{self, DemoArgs},
    logging, serve,
};

const EXAMPLES: &str = "\
Examples:
  longshore up                                  coordinator and worker here
  longshore run alpine 'texts/*.txt' -o out/ -- sh -c 'wc -w < {in} > {out}'
  longshore run -f pipeline.yaml photos/ -o out/
  longshore service deploy search.yaml
  longshore query search -d 'white whale'

Environment:
  LONGSHORE_ADDR          address of the coordinator (--addr)
  LONGSHORE_CONTEXT       name of a context (--context); see `longshore login`
  LONGSHORE_NAMESPACE     whose jobs and services (--namespace)
  LONGSHORE_TOKEN_FILE    file with its token (--token-file); LONGSHORE_TOKEN holds a token itself
  LONGSHORE_CONNECT_TIMEOUT  how long to wait for a coordinator that is away (--connect-timeout)
  LONGSHORE_RUNTIME_DIR   where coordinators leave their sockets and tokens for their own user
  LONGSHORE_LOG           what servers log, such as debug
  NO_COLOR                no colours

Exit codes:
    0  everything committed
    1  infrastructure: no coordinator, a full disk, a fault
    2  usage: the command line, a spec, an input or a name must change
    3  some items failed, or the answer is partial, or came of too few shards
    4  not allowed
    6  no connected worker could ever run it
    9  the job was cancelled
  124  wait timed out
  130  detached by Ctrl-C; the job goes on";

/// Run any container image over files and requests: work queue and scatter/gather.
#[derive(Debug, Parser)]
#[command(name = "longshore", version, after_help = EXAMPLES, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run an image over inputs, watch, and fetch the outputs
    Run(Box<RunArgs>),
    /// Submit a job and print its id
    Submit(Box<SubmitArgs>),
    /// Look at jobs, stop them, try them again
    #[command(subcommand)]
    Job(JobCommand),
    /// List jobs (the same as `job ls`)
    Ps(job::ls::LsArgs),
    /// Show what items wrote (the same as `job logs`)
    Logs(LogsArgs),
    /// Wait until a job has ended (the same as `job wait`)
    Wait(WaitArgs),
    /// Cancel a job (the same as `job cancel`)
    Cancel(CancelArgs),
    /// Deploy, look at and remove services
    #[command(subcommand)]
    Service(ServiceCommand),
    /// Ask a service
    Query(QueryArgs),
    /// Put, list and forget secrets: what jobs and services are given and nobody is shown
    #[command(subcommand)]
    Secret(SecretCommand),
    /// Run a worker, let workers of other machines join, list them
    Worker(WorkerCommand),
    /// Make, list and remove tokens: what people of other machines come in with
    #[command(subcommand)]
    Token(TokenCommand),
    /// Save a coordinator's address and your token under a name
    Login(LoginArgs),
    /// Choose among the coordinators that you have logged in to
    #[command(subcommand)]
    Context(ContextCommand),
    /// Run coordinator and worker on this machine
    Up(UpArgs),
    /// Run a coordinator alone
    Coordinator(CoordinatorArgs),
    /// Find out what keeps this machine from working
    Doctor(DoctorArgs),
    /// See both patterns on real files, from nothing
    #[command(after_help = "Examples:\n  longshore demo\n  longshore demo --runtime process")]
    Demo(DemoArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
}

impl Command {
    /// Whether a coordinator or a worker runs in this process.
    pub fn serves(&self) -> bool {
        match self {
            Command::Up(_) | Command::Coordinator(_) | Command::Demo(_) => true,
            Command::Worker(worker) => worker.serves(),
            _ => false,
        }
    }
}

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
        Command::Ps(args) => job::ls::run(args, &context).await,
        Command::Logs(args) => job::logs::run(args, &context).await,
        Command::Wait(args) => job::wait::run(args, &context).await,
        Command::Cancel(args) => job::cancel::run(args, &context).await,
        Command::Service(command) => service::run(command, &context).await,
        Command::Query(args) => query::run(args, &context).await,
        Command::Secret(command) => secret::run(command, &context).await,
        Command::Token(command) => token::run(command, &context).await,
        Command::Login(args) => login::run(args, &context).await,
        Command::Context(command) => contexts::run(command, &context),
        Command::Doctor(args) => doctor::run(args, &context).await,
        Command::Completions(args) => completions::run(&args, Cli::command()),
    };
    exit.map(ExitCode::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a line of a shell would start us with; words of the shell are left out.
    fn calls(line: &str) -> Vec<Vec<String>> {
        // What an example is for stands behind it.
        let line = line.trim().split("  ").next().unwrap_or_default();
        let words = shlex::split(line).unwrap_or_else(|| panic!("not a line of a shell: {line}"));
        let parts = words.split(|word| ["|", "||", "&&"].contains(&word.as_str()));
        let ours = parts.filter(|part| part.first().is_some_and(|word| word == "longshore"));
        let is_redirection = |word: &String| [">", "2>", "<"].contains(&word.as_str());
        ours.map(|part| part.iter().take_while(|word| !is_redirection(word)).cloned().collect()).collect()
    }

    fn examples(command: &clap::Command, found: &mut Vec<Vec<String>>) {
        let texts = [command.get_after_help(), command.get_after_long_help()];
        for text in texts.into_iter().flatten().map(ToString::to_string) {
            let lines = text.lines().skip_while(|line| *line != "Examples:").skip(1);
            found.extend(lines.take_while(|line| line.starts_with("  ")).flat_map(calls));
        }
        command.get_subcommands().for_each(|command| examples(command, found));
    }

    #[test]
    fn every_example_is_a_command_line_that_is_understood() {
        let mut found = Vec::new();
        examples(&Cli::command(), &mut found);
        assert!(found.len() > 50, "only {} examples were found", found.len());
        let wrong = found.iter().filter_map(|words| {
            let error = Cli::try_parse_from(words).err()?;
            Some(format!("{}\n{error}", words.join(" ")))
        });
        assert_eq!(wrong.collect::<Vec<_>>(), Vec::<String>::new());
    }
}
