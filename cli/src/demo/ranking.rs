//! The demo's query: the ranking that comes back, how complete it is, and how long each leaf took.

use anyhow::{Context as _, Result, bail};
use longshore_client::{
    Client, escape,
    v1::{Answer, QueryRequest, query_response},
};
use serde::Deserialize;

use super::say::say;
use crate::views::parts_table;

/// Hits that are shown.
const SHOWN: usize = 5;

/// What the demo's merge answers (see `examples/src/search.rs`).
#[derive(Debug, Deserialize)]
struct Merged {
    result: Ranking,
}

#[derive(Debug, Deserialize)]
struct Ranking {
    matching: u64,
    searched: u64,
    hits: Vec<Hit>,
}

#[derive(Debug, Deserialize)]
struct Hit {
    file: String,
    words: u32,
    count: u64,
}

/// Asks the service and shows what it answers.
pub async fn ask(address: &str, service: &str, query: &str) -> Result<()> {
    say(&format!("$ longshore query {service} --parts -d '{query}'"));
    let client = Client::connect(address, None).await?;
    let request =
        QueryRequest { service: service.to_owned(), body: query.as_bytes().to_vec().into(), ..QueryRequest::default() };
    let (answer, complete) = match client.query(request).await?.answer {
        Some(query_response::Answer::Complete(answer)) => (answer, true),
        Some(query_response::Answer::Partial(answer)) => (answer, false),
        None => bail!("the service answered nothing"),
    };
    show(&answer, complete)
}

fn show(answer: &Answer, complete: bool) -> Result<()> {
    let Merged { result } = serde_json::from_slice(&answer.body).context("the merge answered no ranking")?;
    let Ranking { matching, searched, hits } = result;
    say(&format!("  {matching} of {searched} texts match; the best:"));
    for hit in hits.iter().take(SHOWN) {
        say(&format!("  {:>4} times {} of the words: {}", hit.count, hit.words, escape::line(&hit.file)));
    }
    let coverage = answer.coverage.clone().unwrap_or_default();
    let kind = if complete { "complete" } else { "PARTIAL" };
    let (merge, total) = (milliseconds(answer.merge_us), milliseconds(answer.total_us));
    say(&format!("  {kind}: {} of {} shards; merge {merge} ms, all {total} ms", coverage.answered, coverage.shards));
    say(&parts_table(&coverage));
    Ok(())
}

fn milliseconds(us: u64) -> String {
    format!("{}.{}", us / 1_000, us % 1_000 / 100)
}
