//! All the examples in one program, chosen by its first argument.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};

use crate::counts::Counts;
use crate::{drop, echo, search, total, words};

/// How the program is called.
pub const USAGE: &str = "\
usage: longshore-demo PROGRAM [ARGUMENT…]

  words [FILE]     count the words of a text: lines of `count word`
  drop [FILE]      drop the most frequent English words from such lines
  total DIR        add up the lines of all files in a directory, the most frequent word first
  top DIR [MOST]   the same, but only so many words (20)
  search-leaf      serve searches in the files below $LONGSHORE_DATA
  search-merge     serve the merge of such searches
  echo             serve every request's own body: the smallest leaf

Without FILE or DIR they read $LONGSHORE_INPUT; without that, words and drop read standard input.
";

/// Runs one of the programs; `arguments` begin with its name.
///
/// The exit code is 0 when all went well, 1 when not and 2 when the arguments are wrong; the reason is on standard
/// error. A reader that goes away early is no failure.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut arguments = arguments.into_iter();
    let program = arguments.next().unwrap_or_default();
    let Some(program) = Program::named(&program.to_string_lossy()) else {
        eprint!("{USAGE}");
        return ExitCode::from(2);
    };
    match program.run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

#[derive(Debug, Clone, Copy)]
enum Program {
    Words,
    Drop,
    Total,
    Top,
    SearchLeaf,
    SearchMerge,
    Echo,
}

impl Program {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "words" => Self::Words,
            "drop" => Self::Drop,
            "total" => Self::Total,
            "top" => Self::Top,
            "search-leaf" => Self::SearchLeaf,
            "search-merge" => Self::SearchMerge,
            "echo" => Self::Echo,
            _ => return None,
        })
    }

    fn run(self, mut arguments: impl Iterator<Item = OsString>) -> anyhow::Result<()> {
        let output = || BufWriter::new(io::stdout().lock());
        match self {
            Self::Words => words::count(input(arguments.next())?)?.write_by_word(output()),
            Self::Drop => drop_words(input(arguments.next())?, output()),
            Self::Total => total::of_directory(&directory(arguments.next())?)?.write_by_count(usize::MAX, output()),
            Self::Top => {
                let total = total::of_directory(&directory(arguments.next())?)?;
                total.write_by_count(most(arguments.next())?, output())
            }
            Self::SearchLeaf => Ok(search::serve_leaf()?),
            Self::SearchMerge => Ok(search::serve_merge()?),
            Self::Echo => Ok(echo::serve()?),
        }
    }
}

fn drop_words(input: impl Read, output: impl Write) -> anyhow::Result<()> {
    let mut counts = Counts::read(BufReader::new(input))?;
    drop::drop_stop_words(&mut counts);
    counts.write_by_word(output)
}

fn path(argument: Option<OsString>) -> Option<PathBuf> {
    argument.or_else(|| env::var_os("LONGSHORE_INPUT")).map(PathBuf::from)
}

fn input(argument: Option<OsString>) -> anyhow::Result<Box<dyn Read>> {
    let Some(path) = path(argument) else {
        return Ok(Box::new(io::stdin()));
    };
    let file = File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Box::new(file))
}

fn directory(argument: Option<OsString>) -> anyhow::Result<PathBuf> {
    path(argument).context("no directory: give it as an argument or in LONGSHORE_INPUT")
}

fn most(argument: Option<OsString>) -> anyhow::Result<usize> {
    let Some(argument) = argument else {
        return Ok(20);
    };
    match argument.to_string_lossy().parse() {
        Ok(most) => Ok(most),
        Err(_) => bail!("{} is no number of words", argument.display()),
    }
}
