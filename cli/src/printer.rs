//! The one owner of the terminal.
//!
//! Data goes to standard output, everything else to standard error. Commands hand over views and never print.

use std::io::{self, IsTerminal, Write};

use longshore_client::escape;
use serde_json::Value;

/// How listings look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Columns for people.
    #[default]
    Table,
    /// One JSON value.
    Json,
    /// One JSON value a line.
    Jsonl,
    /// Names or ids only, one a line.
    Name,
}

/// Something a command answers, in every form it may be wanted.
pub trait View {
    /// For people; nothing where there is nothing to say.
    fn text(&self) -> String;
    /// For programs.
    fn values(&self) -> Values;
    /// Names or ids.
    fn names(&self) -> Vec<String>;
}

/// One value, or a list of them.
#[derive(Debug, Clone)]
pub enum Values {
    /// An object.
    One(Value),
    /// A list of objects.
    Many(Vec<Value>),
}

/// Standard output was closed by its reader. That is no failure: `longshore job ls | head -1`.
#[derive(Debug, thiserror::Error)]
#[error("standard output is closed")]
pub struct StdoutClosed;

/// Prints views, data and notes.
#[derive(Debug, Clone)]
pub struct Printer {
    format: Format,
    quiet: bool,
    out_is_terminal: bool,
    err_is_terminal: bool,
}

impl Printer {
    /// For this process' standard streams.
    pub fn new(format: Format, quiet: bool) -> Printer {
        Printer {
            format,
            quiet,
            out_is_terminal: io::stdout().is_terminal(),
            err_is_terminal: io::stderr().is_terminal(),
        }
    }

    /// Whether only errors and data are wanted.
    pub fn quiet(&self) -> bool {
        self.quiet
    }

    /// How listings are wanted.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Whether standard error is a terminal, where progress can be drawn.
    pub fn draws_progress(&self) -> bool {
        self.err_is_terminal && !self.quiet
    }

    /// Prints a view in the wanted format. With `--quiet` listings are names only.
    pub fn view(&self, view: &dyn View) -> anyhow::Result<()> {
        let format = match self.format {
            Format::Table if self.quiet => Format::Name,
            format => format,
        };
        let mut text = match format {
            Format::Table => view.text(),
            Format::Json => match view.values() {
                Values::One(value) => format!("{value:#}"),
                Values::Many(values) => format!("{:#}", Value::Array(values)),
            },
            Format::Jsonl => match view.values() {
                Values::One(value) => value.to_string(),
                Values::Many(values) => lines(values),
            },
            Format::Name => lines(view.names().iter().map(|name| escape::line(name))),
        };
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        to_stdout(text.as_bytes())
    }

    /// Prints bytes a container made: as they are into a pipe or file, escaped on a terminal.
    pub fn data(&self, bytes: &[u8]) -> anyhow::Result<()> {
        if !self.out_is_terminal {
            return to_stdout(bytes);
        }
        let text = escape::block(bytes);
        to_stdout(text.as_bytes())?;
        match text.is_empty() || text.ends_with('\n') {
            true => Ok(()),
            false => to_stdout(b"\n"),
        }
    }

    /// As [`Printer::data`], to standard error: the other half of a log.
    pub fn error_data(&self, bytes: &[u8]) {
        let mut text = match self.err_is_terminal {
            true => escape::block(bytes).into_bytes(),
            false => bytes.to_vec(),
        };
        if text.last().is_some_and(|&last| last != b'\n') {
            text.push(b'\n');
        }
        // A closed standard error takes nothing, not even the complaint.
        let _ = io::stderr().write_all(&text);
    }

    /// Says something in passing, unless `--quiet`.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            self.warn(text);
        }
    }

    /// Says something that must not be missed.
    pub fn warn(&self, text: &str) {
        let _ = writeln!(io::stderr(), "{}", escape::block(text.as_bytes()));
    }
}

fn lines(each: impl IntoIterator<Item = impl ToString>) -> String {
    each.into_iter().map(|one| one.to_string() + "\n").collect()
}

/// Writes bytes as they are to standard output.
pub fn to_stdout(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(StdoutClosed.into()),
        done => Ok(done?),
    }
}
