//! `longshore job outputs`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use longshore_client::{Client, OutDir, Piece, outputs::Output, v1::StageView};

use crate::{amounts, context::Context, exit::Exit, interrupt::Interrupt, progress::Progress, views::OutputList};

/// Which job, and where to.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  longshore job outputs last                       list them
  longshore job outputs last -o results/           fetch them
  longshore job outputs last -o - | sort           one after the other, to standard output
  longshore job outputs last --stage count a/b.txt -o -

Whatever is committed is there, also of jobs that run, failed or were cancelled. Regular files in DIR are replaced; nothing is
written through links or outside DIR. On a terminal, what -o - prints is escaped.")]
pub struct OutputsArgs {
    /// The job's id, the beginning or end of it, its name, or last
    #[arg(value_name = "JOB")]
    id: String,
    /// Only those of items of these paths
    #[arg(value_name = "ITEM")]
    items: Vec<String>,
    /// Directory the outputs are written to, or - for standard output; without it they are listed
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Those of this stage; otherwise those of the last one
    #[arg(long, value_name = "STAGE")]
    stage: Vec<String>,
}

/// Lists or fetches what has succeeded so far.
pub async fn run(args: OutputsArgs, context: &Context) -> Result<Exit> {
    let client = context.connect().await?;
    let of_last_stage = args.stage.is_empty();
    let outputs = client.outputs_of(&args.id, args.stage, args.items).await?;
    if outputs.is_empty() && of_last_stage {
        say_where_outputs_are(&client, &args.id, context).await?;
    }
    let Some(dir) = args.output else {
        context.printer.view(&OutputList(outputs))?;
        return Ok(Exit::Done);
    };
    if dir.as_os_str() == "-" {
        print(&client, &outputs, context).await?;
        return Ok(Exit::Done);
    }
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

/// Of a job whose last stage has left nothing: which stages have something.
async fn say_where_outputs_are(client: &Client, id: &str, context: &Context) -> Result<()> {
    let job = client.job(id).await?;
    let has_some = |stage: &&StageView| stage.succeeded > 0;
    let stages: Vec<&str> = job.stages.iter().filter(has_some).map(|stage| stage.name.as_str()).collect();
    if let Some(last) = stages.last() {
        let names = stages.join(", ");
        let text = format!("the last stage has no outputs here; items succeeded in {names}: try --stage {last}");
        context.printer.note(&text);
    }
    Ok(())
}

/// Outputs fetched in one request, to standard output.
const AT_ONCE: usize = 1_024;

/// Prints outputs one after the other, in their order.
async fn print(client: &Client, outputs: &[Output], context: &Context) -> Result<()> {
    for some in outputs.chunks(AT_ONCE) {
        let mut blobs = client.blobs(some.iter().map(|output| output.digest).collect()).await?;
        while let Some(piece) = blobs.next().await? {
            match piece {
                Piece::Whole(bytes) | Piece::Data(bytes) => context.printer.data(&bytes)?,
                Piece::Start(_) | Piece::End => {}
            }
        }
    }
    Ok(())
}
