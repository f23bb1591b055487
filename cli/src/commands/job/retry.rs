//! `longshore job retry`.

use anyhow::Result;
use clap::Args;
use longshore_client::{
    Client, escape,
    v1::{ItemState, ItemView, ItemsRequest, JobView, RetryRequest},
};

use crate::{amounts, context::Context, exit::Exit, failure::Failure};

/// What of which job.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  longshore job retry last && longshore job watch last
  longshore job retry last --stage count
  longshore job retry last --item texts/a.txt

What else has failed stays so. What had not ended goes on in any case.")]
pub struct RetryArgs {
    /// The job's id, the beginning or end of it, its name, or last
    #[arg(value_name = "JOB")]
    id: String,
    /// Only failed items of this stage
    #[arg(long, value_name = "STAGE")]
    stage: Option<String>,
    /// Only the failed item of this path
    #[arg(long, value_name = "PATH")]
    item: Option<String>,
}

/// Puts failed items back into the queue.
pub async fn run(args: RetryArgs, context: &Context) -> Result<Exit> {
    let client = context.connect().await?;
    // Whatever it was called, one job is meant, and named in what follows.
    let job = client.job(&args.id).await?;
    let mut asked = RetryRequest { job_id: job.job_id.clone(), ..RetryRequest::default() };
    asked.stage = args.stage.clone().unwrap_or_default();
    if let Some(path) = &args.item {
        let item = failed_item(&client, &job, &args, path).await?;
        asked.stage = stage_name(&job, &item);
        asked.index = Some(item.index);
    }
    let wants_some = !asked.stage.is_empty();
    let back = client.retry(asked).await?;
    let failed = match back.items {
        0 if back.unended > 0 => String::new(),
        some => amounts::some(some, "failed item"),
    };
    let unended = match back.unended {
        0 => String::new(),
        some => format!("{} that had not ended", amounts::some(some, "item")),
    };
    let both = [failed, unended].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" and ");
    context.printer.note(&format!("{both} of job {} back in the queue", escape::line(&job.job_id)));
    if wants_some && !back.picked {
        context.printer.note("the coordinator is of an older version, and has put back all failed items");
    }
    Ok(Exit::Done)
}

fn stage_name(job: &JobView, item: &ItemView) -> String {
    job.stages.get(item.stage as usize).map(|stage| stage.name.clone()).unwrap_or_default()
}

/// The failed item of that path.
async fn failed_item(client: &Client, job: &JobView, args: &RetryArgs, path: &str) -> Result<ItemView> {
    let request = ItemsRequest {
        job_id: job.job_id.clone(),
        stages: args.stage.iter().cloned().collect(),
        state: ItemState::Failed.into(),
        paths: vec![path.to_owned()],
        limit: 2,
        ..ItemsRequest::default()
    };
    let mut items = client.items(request).await?;
    let mut found = Vec::new();
    while let Some(page) = items.next_page().await? {
        found.extend(page);
    }
    let (id, shown) = (escape::line(&job.job_id), escape::line(path));
    match found.as_slice() {
        [item] => Ok(item.clone()),
        [] => Err(Failure::usage(format!("no failed item of job {id} has the path {shown}"))
            .hint(format!("longshore job items {} --state failed", job.job_id))
            .into()),
        [one, other, ..] => {
            let (one, other) = (stage_name(job, one), stage_name(job, other));
            Err(Failure::usage(format!(
                "{shown} has failed in the stages {} and {}; say which with --stage",
                escape::line(&one),
                escape::line(&other)
            ))
            .into())
        }
    }
}
