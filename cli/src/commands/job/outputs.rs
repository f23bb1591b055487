//! `longshore job outputs`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use longshore_client::OutDir;

use crate::{amounts, context::Context, exit::Exit, interrupt::Interrupt, progress::Progress, views::OutputList};

/// Which job, and where to.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  longshore job outputs last                 list them
  longshore job outputs last -o results/     fetch them

Regular files in DIR are replaced; nothing is written through links or outside DIR.")]
pub struct OutputsArgs {
    /// The job's id, an unambiguous beginning of it, or last
    #[arg(value_name = "JOB")]
    id: String,
    /// Directory the outputs are written to; without it they are listed
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// Lists or fetches what has succeeded so far.
pub async fn run(args: OutputsArgs, context: &Context) -> Result<Exit> {
    let client = context.connect().await?;
    let outputs = client.outputs(&args.id).await?;
    let Some(dir) = args.output else {
        context.printer.view(&OutputList(outputs))?;
        return Ok(Exit::Done);
    };
    let interrupt = Interrupt::listen();
    let progress = Progress::new(&context.printer);
    let dir = OutDir::open(&dir)?;
    tokio::select! {
        fetched = client.fetch(outputs, dir, |fetched| progress.fetched(fetched)) => {
            progress.finish();
            let fetched = fetched?;
            context.printer.note(&format!(
                "fetched {} ({})",
                amounts::some(fetched.fetched, "output"),
                amounts::bytes(fetched.bytes)
            ));
            Ok(Exit::Done)
        }
        () = interrupt.typed() => {
            progress.finish();
            context.printer.warn("interrupted; not all outputs were fetched");
            Ok(Exit::Interrupted)
        }
    }
}
