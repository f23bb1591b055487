//! Specs: `job.yaml` and `service.yaml`, checked whole before anything starts.
//!
//! Every refusal says file, line and column, and shows the line. Unknown fields are refused, because a misspelt limit that
//! is passed over in silence is no limit.

pub mod container;
pub mod failures;
pub mod files;
mod gather;
pub mod growth;
pub mod halt;
pub mod invalid;
pub mod job;
mod merge;
pub mod name;
pub mod quantity;
#[cfg(test)]
mod reference;
pub mod require;
pub mod resource;
pub mod secret;
pub mod service;

use std::{
    fmt, fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use longshore_client::escape;
use serde::de::DeserializeOwned;
use serde_saphyr::Location;

/// Largest spec in bytes.
const MAX_BYTES: u64 = 1024 * 1024;

/// A spec that cannot be taken, and where.
#[derive(Debug)]
pub struct SpecError {
    file: String,
    at: Option<(u64, u64)>,
    line: Option<String>,
    message: String,
}

impl SpecError {
    fn new(spec: &SpecText, at: Option<Location>, message: impl Into<String>) -> SpecError {
        let at = at.map(|at| (at.line(), at.column())).filter(|&(line, _)| line > 0);
        let line = at.and_then(|(line, _)| spec.text.lines().nth(line as usize - 1));
        SpecError { file: spec.file.clone(), at, line: line.map(escape::line), message: escape::line(&message.into()) }
    }
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((line, column)) = self.at else {
            return write!(f, "{}: {}", self.file, self.message);
        };
        write!(f, "{}:{line}:{column}: {}", self.file, self.message)?;
        match &self.line {
            Some(text) => write!(f, "\n{line:>5} | {text}\n      | {:>width$}", "^", width = column as usize),
            None => Ok(()),
        }
    }
}

impl std::error::Error for SpecError {}

/// A spec that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read spec {file}")]
pub struct UnreadSpec {
    file: String,
    source: io::Error,
}

/// A spec as read.
#[derive(Debug)]
pub struct SpecText {
    /// Its name for errors, escaped.
    pub file: String,
    /// What it says.
    pub text: String,
    /// Directory that paths in it are relative to.
    pub base: PathBuf,
}

impl SpecText {
    /// Reads the spec at `path`; `-` is standard input.
    pub fn read(path: &Path) -> Result<SpecText, UnreadSpec> {
        let file = escape::path(path);
        let text = match path == Path::new("-") {
            true => read_bounded(io::stdin()),
            false => fs::File::open(path).and_then(read_bounded),
        };
        match text {
            Ok(text) => {
                let base = path.parent().filter(|_| path != Path::new("-")).unwrap_or(Path::new("")).to_owned();
                Ok(SpecText { file, text, base })
            }
            Err(source) => Err(UnreadSpec { file, source }),
        }
    }

    fn parse<T: DeserializeOwned>(&self) -> Result<T, SpecError> {
        if self.text.trim_ascii().is_empty() {
            return Err(SpecError::new(self, None, "the spec is empty"));
        }
        let options = serde_saphyr::options! { with_snippet: false };
        serde_saphyr::from_str_with_options(&self.text, options)
            .map_err(|error| SpecError::new(self, error.location(), plain(&error)))
    }
}

fn read_bounded(from: impl Read) -> io::Result<String> {
    let mut text = String::new();
    from.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    match text.len() as u64 > MAX_BYTES {
        true => Err(io::Error::other(format!("it is longer than {MAX_BYTES} bytes"))),
        false => Ok(text),
    }
}

/// The parser's message without what is said elsewhere, and without advice meant for programs.
fn plain(error: &serde_saphyr::Error) -> String {
    let text = error.without_snippet().to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
    for (theirs, ours) in [
        (", set DuplicateKeyPolicy", "the same key twice: "),
        ("multiple YAML documents", "one document a spec, please: there are several"),
        (
            "expected string scalar",
            "text is expected here, and YAML reads unquoted braces or brackets as more: quote it, as in \"{in}\"",
        ),
        ("expected mapping start", "fields are expected here, as `name: value`"),
        ("expected sequence start", "a list is expected here, as `[a, b]`"),
        ("cannot deserialize null into string", "a value is missing here"),
    ] {
        if let Some((before, _)) = text.split_once(theirs) {
            let key = before.rsplit_once(": ").map_or("", |(_, key)| key);
            return format!("{ours}{key}");
        }
    }
    text.to_owned()
}

#[cfg(test)]
mod tests;
