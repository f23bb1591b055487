//! Tokens and secrets as they come in: from a file, from standard input, from somebody at a terminal, from a program.

use std::{
    fs::File,
    io::{self, IsTerminal, Read},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use longshore_client::{Token, TokenSource, bounds::SECRET_BYTES, escape};
use zeroize::Zeroizing;

use crate::{exit::Exit, failure::Failure};

/// What means standard input.
const STDIN: &str = "-";

/// More than any token takes, in bytes.
const MOST_BYTES: u64 = 64 << 10;

/// How long a program that tells a token may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it is looked whether it has ended.
const LOOK: Duration = Duration::from_millis(20);

/// The token in a file, which is read with each request; `-` is standard input, read now.
pub fn in_file(path: &Path) -> Result<TokenSource> {
    let refused = || Failure::new(Exit::NotAllowed, format!("cannot use the token in {}", path.display()));
    if path.as_os_str() == STDIN {
        return Ok(TokenSource::Text(parse(&text_in_file(path)?)?));
    }
    TokenSource::file(path).with_context(refused)
}

/// The text of a token in a file; `-` is standard input.
pub fn text_in_file(path: &Path) -> Result<String> {
    let refused = || Failure::new(Exit::NotAllowed, format!("cannot use the token in {}", path.display()));
    let read = |from: &mut dyn Read| {
        let mut text = String::new();
        from.take(MOST_BYTES).read_to_string(&mut text).map(|_| text)
    };
    match path.as_os_str() == STDIN {
        true => read(&mut io::stdin().lock()),
        false => File::open(path).and_then(|mut file| read(&mut file)),
    }
    .with_context(refused)
}

/// The text of a token that somebody types, who does not see it.
pub fn typed(prompt: &str) -> Result<String> {
    if !io::stdin().is_terminal() {
        let why = "there is no terminal to type a token at";
        return Err(Failure::usage(why)
            .hint("name a file that holds it: --token-file FILE, or - for standard input")
            .into());
    }
    rpassword::prompt_password(prompt).context("cannot read the token")
}

/// The value of a secret, byte by byte: what is in the file, on standard input, or what somebody types, who does not see it.
pub fn value(name: &str, file: Option<&Path>) -> Result<Zeroizing<Vec<u8>>> {
    let file = file.filter(|file| file.as_os_str() != STDIN);
    let from = file.map_or_else(String::new, |file| format!(" from {}", escape::path(file)));
    let unread = || Failure::usage(format!("cannot read the value of secret {name}{from}"));
    let wrong = |what: &str| Failure::usage(format!("the value of secret {name}{from} is {what}"));
    let mut value = Zeroizing::new(Vec::with_capacity(SECRET_BYTES + 1));
    let read = |from: &mut dyn Read, value: &mut Vec<u8>| from.take(SECRET_BYTES as u64 + 1).read_to_end(value);
    match file {
        Some(file) => read(&mut File::open(file).with_context(unread)?, &mut value).map(drop),
        None if io::stdin().is_terminal() => {
            let typed = Zeroizing::new(
                rpassword::prompt_password(format!("value of {name} (not shown): ")).with_context(unread)?,
            );
            value.extend_from_slice(typed.as_bytes());
            Ok(())
        }
        None => read(&mut io::stdin().lock(), &mut value).map(drop),
    }
    .with_context(unread)?;
    match value.len() {
        0 => Err(wrong("empty").into()),
        long if long > SECRET_BYTES => Err(wrong(&format!("longer than {SECRET_BYTES} bytes")).into()),
        _ => Ok(value),
    }
}

/// A text as a token.
pub fn parse(text: &str) -> Result<Token> {
    Token::parse(text).with_context(|| Failure::new(Exit::NotAllowed, "this is not a token"))
}

/// What a program prints.
pub fn told(command: &[String]) -> Result<Token> {
    let Some((program, args)) = command.split_first() else {
        return Err(Failure::usage("token_command names no program").into());
    };
    let failed = |why: String| Failure::new(Exit::NotAllowed, format!("token_command `{program}` {why}"));
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| failed("cannot be started".to_owned()))?;
    let out = child.stdout.take();
    let reading = thread::spawn(move || {
        let mut text = String::new();
        out.map_or(Ok(0), |out| out.take(MOST_BYTES).read_to_string(&mut text)).map(|_| text)
    });
    let end = Instant::now() + PATIENCE;
    let status = loop {
        match child.try_wait().context("cannot wait for token_command")? {
            Some(status) => break status,
            None if Instant::now() < end => thread::sleep(LOOK),
            None => {
                // It may have ended just now.
                let _ = child.kill();
                let _ = child.wait();
                return Err(failed(format!("has said nothing for {} seconds", PATIENCE.as_secs())).into());
            }
        }
    };
    if !status.success() {
        return Err(failed(format!("has failed: {status}")).into());
    }
    let text = reading.join().map_err(|_| failed("cannot be read".to_owned()))?;
    parse(&text.with_context(|| failed("has said what is no text".to_owned()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn a_program_tells_a_token_or_why_not() {
        assert!(told(&words(&["echo", "lsl_abc"])).is_ok());
        for (command, why) in [
            (&["false"][..], "has failed"),
            (&["/no/such/program"], "cannot be started"),
            (&["echo"], "not a token"),
            (&[], "names no program"),
        ] {
            let error = format!("{:#}", told(&words(command)).unwrap_err());
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_file_whose_value_cannot_be_had_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let (empty, long) = (dir.path().join("empty"), dir.path().join("long"));
        std::fs::write(&empty, "").unwrap();
        std::fs::write(&long, vec![b'x'; SECRET_BYTES + 1]).unwrap();
        for file in [&empty, &long, &dir.path().join("nosuch")] {
            let error = format!("{:#}", value("db", Some(file)).unwrap_err());
            assert!(error.contains(&file.display().to_string()), "{error}");
        }
    }
}
