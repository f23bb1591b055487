//! `longshore job ls`.

use anyhow::Result;
use clap::{Args, ValueEnum};
use longshore_client::v1::{JobState, ListJobsRequest};

use crate::{amounts, context::Context, exit::Exit, spec::quantity::Millis, views::JobList};

/// Flags of `job ls`.
#[derive(Debug, Default, Args)]
#[command(after_help = "Examples:
  longshore job ls
  longshore job ls --state running --state failed
  longshore job ls --name count --since 2h --format wide
  longshore job ls -q --limit 1

Jobs are shown by the ends of their ids, which is enough wherever a job is named.")]
pub struct LsArgs {
    /// Those of all namespaces; for admins alone
    #[arg(long)]
    all_namespaces: bool,
    /// Only those in this state
    #[arg(long, value_enum, value_name = "STATE")]
    state: Vec<State>,
    /// Only those whose name has this in it
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    name: String,
    /// Only those submitted no longer ago than this
    #[arg(long, value_name = "TIME")]
    since: Option<Millis>,
    /// Only the newest so many; there are never more than 1,000
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    limit: u32,
}

/// A job's state, as typed.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum State {
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

impl State {
    fn wire(self) -> JobState {
        match self {
            State::Running => JobState::Running,
            State::Succeeded => JobState::Succeeded,
            State::Failed => JobState::Failed,
            State::Cancelled => JobState::Cancelled,
        }
    }
}

/// Lists jobs.
pub async fn run(args: LsArgs, context: &Context) -> Result<Exit> {
    let request = ListJobsRequest {
        all_namespaces: args.all_namespaces,
        states: args.state.into_iter().map(|state| state.wire().into()).collect(),
        name: args.name,
        since_ms: args.since.map_or(0, |Millis(ago_ms)| amounts::now_ms().saturating_sub(ago_ms)),
        limit: args.limit,
    };
    let jobs = context.connect().await?.jobs(request).await?;
    context.printer.view(&JobList(jobs))?;
    Ok(Exit::Done)
}
