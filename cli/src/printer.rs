//! The one owner of the terminal.
//!
//! Data goes to standard output, everything else to standard error. Commands hand over views and never print.

use std::{
    fmt,
    io::{self, IsTerminal, Write},
    sync::{Arc, Mutex, PoisonError},
};

use longshore_client::escape;
use serde_json::Value;

/// How listings look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Columns for people.
    #[default]
    Table,
    /// More columns, for wide terminals.
    Wide,
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
    /// For people with a wide terminal.
    fn wide(&self) -> String {
        self.text()
    }
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

/// Does something while what is drawn on standard error is out of the way.
type Aside = dyn Fn(&dyn Fn()) + Send + Sync;

/// What is drawn on standard error now, if anything is.
#[derive(Clone, Default)]
struct Drawn(Arc<Mutex<Option<Arc<Aside>>>>);

impl fmt::Debug for Drawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Drawn")
    }
}

/// Prints views, data and notes.
#[derive(Debug, Clone)]
pub struct Printer {
    drawn: Drawn,
    format: Format,
    quiet: bool,
    out_is_terminal: bool,
    err_is_terminal: bool,
}

impl Printer {
    /// For this process' standard streams.
    pub fn new(format: Format, quiet: bool) -> Printer {
        Printer {
            drawn: Drawn::default(),
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
            Format::Table | Format::Wide if self.quiet => Format::Name,
            format => format,
        };
        let mut text = match format {
            Format::Table => view.text(),
            Format::Wide => view.wide(),
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

    /// Prints listings of any length, some rows at a time.
    pub fn rows(&self) -> Rows {
        let format = match self.format {
            Format::Table | Format::Wide if self.quiet => Format::Name,
            format => format,
        };
        Rows { format, printed: 0 }
    }

    /// Prints one value on one line, in whichever of both JSON formats.
    pub fn json_line(&self, value: &Value) -> anyhow::Result<()> {
        to_stdout(format!("{value}\n").as_bytes())
    }

    /// Whether programs read what is printed.
    pub fn is_for_programs(&self) -> bool {
        matches!(self.format, Format::Json | Format::Jsonl)
    }

    /// Whether standard output is a terminal, where what is printed has to be looked at as a whole.
    pub fn is_terminal(&self) -> bool {
        self.out_is_terminal
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

    /// From now on something is drawn on standard error, which `aside` takes out of the way.
    pub fn draws(&self, aside: impl Fn(&dyn Fn()) + Send + Sync + 'static) {
        *self.drawn.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(aside));
    }

    /// Says something that must not be missed.
    pub fn warn(&self, text: &str) {
        let write = || {
            // A closed standard error takes nothing, not even the complaint.
            let _ = writeln!(io::stderr(), "{}", escape::block(text.as_bytes()));
        };
        let drawn = self.drawn.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match drawn {
            Some(aside) => aside(&write),
            None => write(),
        }
    }
}

/// Rows of a listing, as they come.
pub trait RowsView {
    /// The line above all rows.
    fn header(&self, wide: bool) -> String;
    /// A line for each row, escaped.
    fn lines(&self, wide: bool) -> Vec<String>;
    /// For programs.
    fn values(&self) -> Vec<Value>;
    /// Names.
    fn names(&self) -> Vec<String>;
}

/// A listing under way.
#[derive(Debug)]
pub struct Rows {
    format: Format,
    printed: u64,
}

impl Rows {
    /// Prints the next rows.
    pub fn print(&mut self, rows: &dyn RowsView) -> anyhow::Result<()> {
        let text = match self.format {
            Format::Table => self.table(rows, false),
            Format::Wide => self.table(rows, true),
            Format::Json => self.array(rows),
            Format::Jsonl => lines(rows.values()),
            Format::Name => lines(rows.names().iter().map(|name| escape::line(name))),
        };
        if text.is_empty() { Ok(()) } else { to_stdout(text.as_bytes()) }
    }

    /// There are no more rows; `none` says what they would have looked like.
    pub fn finish(self, none: &dyn RowsView) -> anyhow::Result<()> {
        match (self.format, self.printed) {
            (Format::Table | Format::Wide, 0) => {
                to_stdout(format!("{}\n", none.header(self.format == Format::Wide)).as_bytes())
            }
            (Format::Json, 0) => to_stdout(b"[]\n"),
            (Format::Json, _) => to_stdout(b"\n]\n"),
            _ => Ok(()),
        }
    }

    fn table(&mut self, rows: &dyn RowsView, wide: bool) -> String {
        let body = rows.lines(wide);
        let header = (self.printed == 0 && !body.is_empty()).then(|| rows.header(wide));
        self.printed += body.len() as u64;
        lines(header.into_iter().chain(body))
    }

    fn array(&mut self, rows: &dyn RowsView) -> String {
        let mut text = String::new();
        for value in rows.values() {
            text.push_str(if self.printed == 0 { "[\n" } else { ",\n" });
            text.push_str(&value.to_string());
            self.printed += 1;
        }
        text
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
