//! A search through texts: two leaves and two merges in one program, which says by its argument what it is.

use std::fs;
use std::io::Write;

use merger_sdk::{
    Answer, AnswerError, Best, Covered, Merge, MergePartials, MergeRequest, Part, Request, ServeError, Total,
};

/// How many texts have the word, and which ten have it most often. Such results can be merged in any order, to any depth.
type Found = (Total, Best<(u64, String), 10>);

/// Answers for the texts of one shard.
fn leaf(request: &Request) -> Result<Answer, AnswerError> {
    let (word, mut texts) = (request.text()?, Vec::new());
    for entry in fs::read_dir(request.place().data_dir()?)? {
        if request.abandoned() {
            return Err(AnswerError::Late);
        }
        let entry = entry?;
        let count = fs::read_to_string(entry.path())?.matches(word).count() as u64;
        if count > 0 {
            texts.push((count, entry.file_name().to_string_lossy().into_owned()));
        }
    }
    let found: Found = (Total(texts.len() as u64), Best::from(texts));
    Answer::json(&Covered::one(found))
}

/// Answers with the lines themselves, each as it is found.
fn lines(request: &Request) -> Result<Answer, AnswerError> {
    let (word, data) = (request.text()?.to_owned(), request.place().data_dir()?.to_owned());
    let answer = Answer::written(move |out| {
        for entry in fs::read_dir(data)? {
            let text = fs::read_to_string(entry?.path())?;
            for line in text.lines().filter(|line| line.contains(&word)) {
                writeln!(out, "{line}")?;
            }
        }
        Ok(())
    });
    Ok(answer.with_type("text/plain; charset=utf-8"))
}

/// The first ten lines, from whichever leaves answer first.
struct First;

const ENOUGH: usize = 10;

impl Merge for First {
    type State = Vec<String>;

    fn begin(&self, _: &MergeRequest) -> Vec<String> {
        Vec::new()
    }

    fn add(&self, lines: &mut Vec<String>, part: Part) -> Result<(), AnswerError> {
        let text = String::from_utf8_lossy(&part.bytes);
        lines.extend(text.lines().map(str::to_owned));
        Ok(())
    }

    fn is_enough(&self, lines: &Vec<String>) -> bool {
        lines.len() >= ENOUGH
    }

    fn finish(&self, mut lines: Vec<String>) -> Result<Answer, AnswerError> {
        lines.truncate(ENOUGH);
        Ok(Answer::text(lines.iter().map(|line| format!("{line}\n")).collect::<String>()))
    }
}

fn main() -> Result<(), ServeError> {
    match std::env::args().nth(1).as_deref() {
        Some("leaf") => merger_sdk::serve_leaf(leaf),
        Some("merge") => merger_sdk::serve_merge(MergePartials::<Found>::new()),
        Some("lines") => merger_sdk::serve_leaf(lines),
        _ => merger_sdk::serve_merge(First),
    }
}
