//! `longshore query`: ask a service; a partial answer is never taken for a complete one.

use std::{fs::File, io::Read, str::FromStr};

use anyhow::{Context as _, Result};
use clap::Args;
use longshore_client::{
    Answering, Next,
    bounds::QUERY_BYTES,
    escape, head,
    v1::{Answer, Coverage, HeaderField, QueryRequest, QueryResponse, Share, query_response},
};

use crate::{
    amounts,
    context::Context,
    exit::Exit,
    failure::Failure,
    printer::{Format, Printer},
    spec::{quantity::Millis, require::Require},
    views::{AnswerView, parts_table},
};

/// Largest query in bytes, as the coordinator takes it.
const MAX_BYTES: u64 = QUERY_BYTES as u64;

/// What to ask whom.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  longshore query search -d 'white whale'
  longshore query search -d @query.json --require 0.5 --deadline 500ms
  longshore query search -d @query.json -H 'content-type: application/json' --require count=3
  cat picture.jpg | longshore query similar -d - > answer.json

The answer goes to standard output. When shards are missing from it, they are named on standard error and the exit
code is 3.")]
pub struct QueryArgs {
    /// The service's name
    #[arg(value_name = "SERVICE")]
    service: String,
    /// The query: text, @FILE, or - for standard input
    #[arg(short, long, value_name = "TEXT|@FILE|-", allow_hyphen_values = true)]
    data: String,
    /// How complete the answer has to be: all, deadline, a fraction such as 0.5, or count=3
    #[arg(long, value_name = "RULE")]
    require: Option<Require>,
    /// Longest time the query may take
    #[arg(long, value_name = "TIME")]
    deadline: Option<Millis>,
    /// What is said of the query to every leaf, such as 'content-type: application/json'; may be repeated
    #[arg(short = 'H', long, value_name = "NAME: VALUE")]
    header: Vec<Field>,
    /// Show on standard error what became of each shard
    #[arg(long)]
    parts: bool,
}

/// A header of a query.
#[derive(Debug, Clone)]
struct Field(HeaderField);

impl FromStr for Field {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once(':').ok_or("expected NAME: VALUE")?;
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim().to_owned());
        let known = head::OF_BYTES.iter().chain(&head::OF_QUERIES);
        if !known.clone().any(|known| known.as_str() == name) {
            let known: Vec<&str> = known.map(|known| known.as_str()).collect();
            return Err(format!("`{name}` does not travel with a query; these do: {}", known.join(", ")));
        }
        Ok(Self(HeaderField { name, value }))
    }
}

/// Asks.
pub async fn run(args: QueryArgs, context: &Context) -> Result<Exit> {
    let body = body(&args.data)?;
    let client = context.connect().await?;
    let request = QueryRequest {
        service: args.service.clone(),
        body: body.into(),
        deadline_ms: args.deadline.map_or(0, |deadline| deadline.0),
        require: args.require.map(Require::wire),
        head: args.header.iter().map(|field| field.0.clone()).collect(),
    };
    let mut answering = match client.ask(request).await {
        Ok(answering) => answering,
        Err(error) => {
            // The error names what is missing; the table is for those who asked for it.
            if let (true, Some(coverage)) = (args.parts, error.coverage()) {
                context.printer.warn(&parts_table(&coverage));
            }
            return Err(error.into());
        }
    };
    if let Some(cut) = answering.cut() {
        context.printer.warn(&format!("the deadline is {}, as its service has it", humantime::format_duration(cut)));
    }
    let (end, body) = read(&mut answering, &context.printer).await?;
    match end.answer {
        Some(query_response::Answer::Complete(answer)) => print((answer, body), true, args.parts, &context.printer),
        Some(query_response::Answer::Partial(answer)) => print((answer, body), false, args.parts, &context.printer),
        None => Err(Failure::new(Exit::Failed, "the coordinator's answer is empty").into()),
    }
}

/// Reads an answer to its end. Into a pipe or file it is written as it comes, however large; for programs and terminals it is held.
async fn read(answering: &mut Answering, printer: &Printer) -> Result<(QueryResponse, Option<Vec<u8>>)> {
    let mut held = (is_value(printer) || printer.is_terminal()).then(Vec::new);
    loop {
        match (answering.next().await?, &mut held) {
            (Next::Data(data), Some(held)) => held.extend_from_slice(&data),
            (Next::Data(data), None) => printer.data(&data)?,
            (Next::End(end), _) => return Ok((end, held)),
        }
    }
}

fn is_value(printer: &Printer) -> bool {
    matches!(printer.format(), Format::Json | Format::Jsonl)
}

fn print(
    (mut answer, body): (Answer, Option<Vec<u8>>),
    complete: bool,
    parts: bool,
    printer: &Printer,
) -> Result<Exit> {
    let coverage = answer.coverage.clone().unwrap_or_default();
    let (total, merge) = (answer.total_us, answer.merge_us);
    match body {
        Some(body) if is_value(printer) => {
            answer.body = body.into();
            printer.view(&AnswerView { answer, complete })?;
        }
        Some(body) => printer.data(&body)?,
        None => {}
    }
    if !complete || parts {
        coverage_lines(&coverage, complete, parts, printer);
    }
    if parts {
        printer.warn(&format!("merge {:.3}ms, total {:.3}ms", millis(merge), millis(total)));
    }
    Ok(if complete { Exit::Done } else { Exit::Partial })
}

/// Names what is missing; with `parts` everything about every shard.
fn coverage_lines(coverage: &Coverage, complete: bool, parts: bool, printer: &Printer) {
    if !complete {
        printer.warn(&partial_text(coverage));
    }
    if parts {
        printer.warn(&parts_table(coverage));
    }
}

fn partial_text(coverage: &Coverage) -> String {
    let mut text =
        format!("partial: {} of {} answered", coverage.answered, amounts::some(u64::from(coverage.shards), "shard"));
    for part in coverage.parts.iter().filter(|part| !part.ok) {
        text.push_str(&format!("\n  shard {}: {}", part.shard, escape::line(&part.error)));
    }
    if let Some(Share { answered, of, missing }) = &coverage.merge {
        text.push_str(&format!("\n  the merge answered in part ({answered}/{of}): {}", escape::line(missing)));
    }
    text
}

fn millis(micros: u64) -> f64 {
    micros as f64 / 1_000.0
}

fn body(data: &str) -> Result<Vec<u8>> {
    let body = match data.strip_prefix('@') {
        Some(file) => {
            let failed = || Failure::usage(format!("cannot read {}", escape::line(file)));
            let opened = File::open(file).with_context(failed)?;
            bounded(opened).with_context(failed)?
        }
        None if data == "-" => bounded(std::io::stdin()).context("cannot read standard input")?,
        None => data.as_bytes().to_vec(),
    };
    match body.len() as u64 > MAX_BYTES {
        true => Err(Failure::usage(format!("the query is longer than {}", amounts::bytes(MAX_BYTES))).into()),
        false => Ok(body),
    }
}

fn bounded(from: impl Read) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    from.take(MAX_BYTES + 1).read_to_end(&mut body)?;
    Ok(body)
}

#[cfg(test)]
mod tests {
    use longshore_client::v1::PartView;

    use super::*;

    #[test]
    fn a_partial_answer_names_each_missing_shard_and_why() {
        let part = |shard, ok, error: &str| PartView { shard, ok, error: error.to_owned(), ..PartView::default() };
        let coverage = Coverage {
            shards: 3,
            answered: 2,
            parts: vec![part(0, true, ""), part(1, false, "timeout after 2s"), part(2, true, "")],
            ..Coverage::default()
        };
        assert_eq!(partial_text(&coverage), "partial: 2 of 3 shards answered\n  shard 1: timeout after 2s");
    }

    #[test]
    fn a_query_is_text_or_a_file_and_bounded() {
        assert_eq!(body("white whale").unwrap(), b"white whale");
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(MAX_BYTES + 1).unwrap();
        let error = body(&format!("@{}", file.path().display())).unwrap_err();
        assert!(error.to_string().contains("longer than 3.00 MiB"), "{error}");
        assert!(body("@/no/such/file").is_err());
    }
}
