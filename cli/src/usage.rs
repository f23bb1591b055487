//! What is said of a command line that cannot be read.

use clap::{
    Command, Error,
    error::{ContextKind, ContextValue},
};

/// The same error with a usage line that has no flag of every command: one that was given would stand there as if it had to be.
pub fn without_global_flags(mut error: Error, mut command: Command) -> Error {
    let Some(ContextValue::StyledStr(usage)) = error.get(ContextKind::Usage) else { return error };
    let shown = usage.to_string();
    let mut plain = shown.clone();
    command.build();
    for flag in command.get_arguments().filter(|flag| flag.is_global_set()) {
        plain = plain.replacen(&format!(" {flag}"), "", 1);
    }
    if plain != shown {
        error.insert(ContextKind::Usage, ContextValue::StyledStr(plain.into()));
    }
    error
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;
    use crate::commands::Cli;

    fn said(words: &[&str]) -> String {
        let error = Cli::try_parse_from([&["longshore"], words].concat()).unwrap_err();
        without_global_flags(error, Cli::command()).to_string()
    }

    #[test]
    fn the_usage_line_names_what_is_missing_and_no_flag_of_every_command() {
        let usage = "Usage: longshore job show <JOB>\n";
        assert!(said(&["job", "show"]).contains(usage));
        let global = said(&["job", "show", "--addr", "h:1", "-n", "a", "--format", "json", "-q"]);
        assert!(global.contains(usage), "{global}");
    }
}
