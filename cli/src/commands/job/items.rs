//! `longshore job items`.

use anyhow::Result;
use clap::{Args, ValueEnum};
use longshore_client::v1::{ItemState, ItemsRequest};

use crate::{context::Context, exit::Exit, failure::Failure, views::ItemRows};

/// Which items of which job.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  longshore job items last
  longshore job items last --state failed
  longshore job items last --state running --format wide
  longshore job items last a/b.txt --format json

Items come in order of stages and inputs. A running one is shown with its worker and since when that has it.")]
pub struct ItemsArgs {
    /// The job's id, the beginning or end of it, its name, or last
    #[arg(value_name = "JOB")]
    id: String,
    /// Only items of these paths
    #[arg(value_name = "ITEM")]
    items: Vec<String>,
    /// Only items of this stage
    #[arg(long, value_name = "STAGE")]
    stage: Vec<String>,
    /// Only items in this state
    #[arg(long, value_enum, value_name = "STATE")]
    state: Option<State>,
    /// Only the first so many
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    limit: u64,
}

/// An item's state, as typed.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum State {
    Pending,
    Running,
    Succeeded,
    Failed,
    Filtered,
}

impl State {
    fn wire(self) -> ItemState {
        match self {
            State::Pending => ItemState::Pending,
            State::Running => ItemState::Running,
            State::Succeeded => ItemState::Succeeded,
            State::Failed => ItemState::Failed,
            State::Filtered => ItemState::Filtered,
        }
    }
}

/// Lists items as they come: a million of them need no memory here.
pub async fn run(args: ItemsArgs, context: &Context) -> Result<Exit> {
    let client = context.connect().await?;
    let job = client.job(&args.id).await?;
    let request = ItemsRequest {
        job_id: job.job_id.clone(),
        stages: args.stage,
        state: args.state.map_or(ItemState::Unspecified, State::wire).into(),
        live: true,
        paths: args.items.clone(),
        limit: args.limit,
        ..ItemsRequest::default()
    };
    let mut pages = client.items(request).await?;
    let mut rows = context.printer.rows();
    let mut found = false;
    while let Some(items) = pages.next_page().await? {
        found |= !items.is_empty();
        rows.print(&ItemRows { job: &job, items })?;
    }
    rows.finish(&ItemRows { job: &job, items: Vec::new() })?;
    match args.items.as_slice() {
        [_, ..] if !found => {
            let failure = Failure::usage(format!("job {} has no such items", job.job_id));
            Err(failure.hint(format!("longshore job items {}", job.job_id)).into())
        }
        _ => Ok(Exit::Done),
    }
}
