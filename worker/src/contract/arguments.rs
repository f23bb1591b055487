//! How many parts a shell's `{in}/*` can become arguments of: the kernel bounds what a program is started with, and a pipe hides
//! from a shell that what it was to begin with never began.

use longshore_proto::v1::{Failure, FailureClass};

use super::failures::failure;

/// Bytes of arguments that are sure to fit when a run may have as many as the kernel gives: 6 MiB (three quarters of 8 MiB,
/// `fs/exec.c`), less what an image's environment and the rest of a command take.
const SAFE_BYTES: u64 = (6 << 20) - (256 << 10);

/// Bytes of arguments from which on a run is given more than the usual 2 MiB.
const LONG_BYTES: u64 = 1 << 20;

/// What an argument takes beside its text: its end, and a pointer.
const BESIDE: usize = 1 + size_of::<u64>();

/// Bytes that the paths of these files in a directory take as arguments.
pub(super) fn bytes<'a>(directory: &str, names: impl IntoIterator<Item = &'a String>) -> u64 {
    names.into_iter().map(|name| (directory.len() + 1 + name.len() + BESIDE) as u64).sum()
}

/// Whether a run whose parts' paths take so many bytes needs longer arguments than usual.
pub(super) fn are_long(bytes: u64) -> bool {
    bytes > LONG_BYTES
}

/// Refuses a command that would have a shell expand so much.
///
/// # Errors
/// When it does not fit.
pub(super) fn ensure_fit(bytes: u64, parts: usize) -> Result<(), Failure> {
    if bytes <= SAFE_BYTES {
        return Ok(());
    }
    Err(failure(
        FailureClass::Command,
        format!(
            "the paths of {parts} parts take {bytes} bytes as arguments, and {SAFE_BYTES} are sure to fit: `{{in}}/*` would start \
             nothing; read the parts from standard input (`parts: stdin`), or their names from {{manifest}} or `find {{in}} -type f`"
        ),
    ))
}

/// Whether a shell would expand a pattern over the parts in this text into arguments of a command. `input` stands where the path of
/// the directory does. What is quoted is not expanded, and words of a `for` loop are no arguments.
pub(super) fn expands(text: &str, input: char) -> bool {
    text.match_indices(input).any(|(at, _)| {
        let (before, behind) = (&text[..at], &text[at + input.len_utf8()..]);
        let quote = before.chars().next_back().filter(|last| matches!(last, '"' | '\''));
        let (before, behind) = match quote {
            Some(quote) => match behind.strip_prefix(quote) {
                Some(behind) => (&before[..before.len() - quote.len_utf8()], behind),
                None => return false,
            },
            None => (before, behind),
        };
        let ends =
            |c: char| c.is_whitespace() || matches!(c, ';' | '|' | '&' | '<' | '>' | '(' | ')' | '"' | '\'' | '`');
        let word = behind.split(ends).next().unwrap_or_default();
        word.starts_with('/') && word.contains(['*', '?', '[']) && !is_of_a_loop(before)
    })
}

/// Whether this ends in `for NAME in`, and perhaps further words of the same list.
fn is_of_a_loop(before: &str) -> bool {
    let command = before.rsplit([';', '|', '&', '\n', '(', '`']).next().unwrap_or_default();
    let mut words = command.split_whitespace().skip_while(|word| matches!(*word, "do" | "then" | "else" | "{" | "!"));
    words.next() == Some("for") && words.nth(1) == Some("in")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_expands_into_arguments_is_told_from_what_it_does_not() {
        for script in
            ["cat @/* | wc -l", "cat \"@\"/*", "ls '@'/*.txt", "sort @/0000??-a", "set -- @/[0-9]*", "x; cat @/*;"]
        {
            assert!(expands(script, '@'), "{script}");
        }
        for script in [
            "cat @",
            "ls @ | wc -l",
            "find @ -name '*.txt'",
            "glob.glob('@/*')",
            "glob(\"@/*\")",
            "for f in @/*; do cat $f; done",
            "if true; then for f in \"@\"/*; do :; done; fi",
            "cat @/000000-* | wc",
            "cat @.*",
            "cat $x/*",
        ] {
            assert_eq!(expands(script, '@'), script == "cat @/000000-* | wc", "{script}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_with_what_to_do_instead() {
        let names: Vec<_> = (0..30_000).map(|at| format!("{at:06}-file-{at:06}.txt")).collect();
        let of_30_000 = bytes("/longshore/in/0/parts", &names);
        assert_eq!(of_30_000, 30_000 * (21 + 1 + 22 + 9));
        assert!(are_long(of_30_000) && ensure_fit(of_30_000, 30_000).is_ok());
        assert!(!are_long(LONG_BYTES) && ensure_fit(SAFE_BYTES, 9).is_ok());
        let refused = ensure_fit(SAFE_BYTES + 1, 120_000).unwrap_err();
        for word in ["120000 parts", "6029313 bytes", "parts: stdin", "{manifest}"] {
            assert!(refused.message.contains(word), "{word}: {}", refused.message);
        }
        assert_eq!(refused.class(), FailureClass::Command);
    }
}
