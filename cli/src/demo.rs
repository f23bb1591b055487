//! `longshore demo`: both patterns on real files, from nothing.
//!
//! It starts a coordinator and a worker in a temporary directory, types the commands a user would type, shows what they
//! answer, and removes everything again. No registry is needed: the programs of the demo are carried inside and become
//! an image on the spot.

mod ranking;
mod say;
mod stage;
mod texts;

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use longshore_worker::{bounds::Ceilings, home::Home};

use self::{say::say, stage::Stage};
use crate::{
    args::{
        listen::ListenAt,
        servers::{Runtime, ServingArgs},
    },
    commands::{
        run::{self, RunArgs},
        service::{self, ServiceCommand},
    },
    context::Context,
    exit::Exit,
    interrupt::Interrupt,
    serve::Up,
};

/// Words of the table that are shown.
const SHOWN: usize = 10;

/// What is searched for.
const QUERY: &str = "permission to copy and distribute";

/// What the demo is given.
#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// How containers are run; Docker where it answers, else plain processes
    #[arg(long, value_enum)]
    pub runtime: Option<Runtime>,
}

/// What the demo types, of all the commands there are.
#[derive(Debug, clap::Parser)]
enum Typed {
    Run(Box<RunArgs>),
    #[command(subcommand)]
    Service(ServiceCommand),
}

/// Runs the demo.
pub async fn demo(args: DemoArgs, context: &Context) -> Result<ExitCode> {
    let dir = tempfile::Builder::new().prefix("longshore-demo-").tempdir().context("cannot make a directory")?;
    let home = Home::open(&dir.path().join("worker"))?;
    let stage = Stage::set(&home, args.runtime, dir.path()).await?;
    let exit = with_stage(&stage, home, dir.path(), context).await;
    stage.strike().await;
    let dir_path = dir.path().display().to_string();
    dir.close().with_context(|| format!("cannot remove {dir_path}"))?;
    if matches!(exit, Ok(Exit::Done)) {
        say("\nEverything was removed again. Next: `longshore up` in one terminal, `longshore run --help` in another.");
    }
    exit.map(ExitCode::from)
}

async fn with_stage(stage: &Stage, home: Home, dir: &std::path::Path, context: &Context) -> Result<Exit> {
    let texts = dir.join("texts");
    let found = tokio::task::block_in_place(|| texts::gather(&texts))?;
    let (files, kib) = (found.files, found.bytes >> 10);
    say(&format!("{files} source and licence texts of this machine ({kib} KiB), copied to {}", texts.display()));
    say(&format!("Containers by: {}\n", stage.runtime().name()));
    let slots = std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(1));
    let interrupt = Interrupt::listen();
    let serving = ServingArgs::of(dir.to_owned(), ListenAt::loopback(0));
    let up = Up::start(
        dir,
        &serving,
        home,
        stage.runtime(),
        (slots, Ceilings::default(), longshore_worker::agent::Capacity::default()),
    )
    .await?;
    let played = tokio::select! {
        played = play(stage, dir, &up.doors.local, context) => played,
        () = interrupt.typed() => {
            eprintln!("interrupted; cleaning up");
            Ok(Exit::Interrupted)
        }
    };
    let stopped = up.stop().await;
    let exit = played?;
    stopped?;
    Ok(exit)
}

/// The three acts: a job of three stages, a service of four shards, a query.
async fn play(stage: &Stage, dir: &std::path::Path, address: &str, context: &Context) -> Result<Exit> {
    let (pipeline, search, counts) = (dir.join("pipeline.yaml"), dir.join("search.yaml"), dir.join("counts"));
    std::fs::write(&pipeline, stage.pipeline()).context("cannot write the job's spec")?;
    std::fs::write(&search, stage.search()).context("cannot write the service's spec")?;
    let path = |path: &std::path::Path| path.to_string_lossy().into_owned();

    say("A work queue: count the words of every text, drop the most common, add all up.");
    let run = ["run", "-f", &path(&pipeline), &path(&dir.join("texts")), "-o", &path(&counts)];
    let exit = type_in(&run, address, context).await?;
    if exit != Exit::Done {
        return Ok(exit);
    }
    show_table(&counts.join("total"))?;

    say("\nScatter/gather: four leaves, each with its share of the same texts, and a merge.");
    let exit = type_in(&["service", "deploy", &path(&search)], address, context).await?;
    if exit != Exit::Done {
        return Ok(exit);
    }
    ranking::ask(address, "search", QUERY).await?;
    type_in(&["service", "rm", "search"], address, context).await
}

/// Shows a command and carries it out, as if it had been typed.
async fn type_in(words: &[&str], address: &str, context: &Context) -> Result<Exit> {
    let shown: Vec<String> =
        words.iter().map(|word| if word.contains(' ') { format!("'{word}'") } else { (*word).to_owned() }).collect();
    say(&format!("$ longshore {}", shown.join(" ")));
    let typed = Typed::try_parse_from(["longshore"].iter().chain(words))?;
    let context = Context {
        address: Some(address.to_owned()),
        named: None,
        token_file: None,
        namespace: None,
        connect_timeout: None,
        printer: context.printer.clone(),
    };
    match typed {
        Typed::Run(args) => run::run(*args, &context).await,
        Typed::Service(command) => service::run(command, &context).await,
    }
}

fn show_table(path: &std::path::Path) -> Result<()> {
    let table = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    say(&format!("\nThe {SHOWN} most frequent of {} words:", table.lines().count()));
    for line in table.lines().take(SHOWN) {
        say(&format!("  {line}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::Cli;

    #[test]
    fn what_the_demo_types_a_user_can_type() {
        for words in [
            &["run", "-f", "pipeline.yaml", "texts", "-o", "counts"][..],
            &["service", "deploy", "search.yaml"],
            &["service", "rm", "search"],
        ] {
            let line = || ["longshore"].into_iter().chain(words.iter().copied());
            assert!(Typed::try_parse_from(line()).is_ok(), "{words:?}");
            assert!(Cli::try_parse_from(line()).is_ok(), "{words:?}");
        }
    }
}
