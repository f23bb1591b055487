//! `--each-json`: which fields of the lines a command names, and that each line has them.

use std::{collections::BTreeMap, path::Path};

use longshore_client::{
    bounds::{FIELDS, SMALL_BLOB_BYTES},
    escape, field,
    inputs::{Input, Source},
    v1::{Container, Stage},
};
use longshore_contract::Word;
use serde_json::{Map, Value};

use crate::failure::Failure;

/// Programs that take a script as an argument.
const SHELLS: [&str; 7] = ["sh", "bash", "dash", "ash", "zsh", "ksh", "busybox"];

/// A name in braces that could be a field.
#[derive(Debug, Default)]
struct Named {
    /// Said to be one by a dot.
    dotted: bool,
    /// Without one.
    plain: bool,
    /// Some line has it.
    is_there: bool,
    /// The first line that lacks it, as its item is called.
    lacking: Option<String>,
}

/// Tells the stage which fields of its items its command names.
///
/// # Errors
/// When a line is no JSON object or lacks a field that is named, or a value would become part of a script.
pub fn tell(stage: &mut Stage, items: &[Input]) -> Result<(), Failure> {
    let Some(container) = &stage.container else { return Ok(()) };
    let mut named: BTreeMap<&str, Named> = BTreeMap::new();
    for (name, dotted) in texts(container).flat_map(|text| field::words(text)) {
        let found = named.entry(name).or_default();
        found.dotted |= dotted;
        found.plain |= !dotted;
    }
    for item in items {
        let Source::Bytes(line) = &item.source else { continue };
        if line.len() > SMALL_BLOB_BYTES {
            return Err(Failure::usage(format!("{}: the line has more than {SMALL_BLOB_BYTES} bytes", item.path)));
        }
        let object: Map<String, Value> = serde_json::from_slice(line)
            .map_err(|error| Failure::usage(format!("{}: the line is no JSON object: {error}", item.path)))?;
        for (name, named) in &mut named {
            match object.get(*name) {
                Some(Value::String(text)) if text.contains('\0') => {
                    let message = format!("{}: field {name} has a NUL, which no command can be given", item.path);
                    return Err(Failure::usage(message));
                }
                None | Some(Value::Null) => {
                    named.lacking.get_or_insert_with(|| item.path.clone());
                }
                Some(_) => named.is_there = true,
            }
        }
    }
    named.retain(|_, named| named.dotted || named.is_there);
    for (name, named) in &mut named {
        let is_ours = Word::ALL.iter().any(|word| word.text() == format!("{{{name}}}"));
        if is_ours && named.plain {
            let message = format!("{{{name}}} is a word of Longshore's, and {name} a field of the lines");
            return Err(
                Failure::usage(message).hint(format!("write {{.{name}}} for the field, or call it something else"))
            );
        }
        if let Some(item) = &named.lacking {
            return Err(Failure::usage(format!("{item}: the line has no field {name}, which the command names")));
        }
    }
    if named.len() > FIELDS {
        return Err(Failure::usage(format!("the command names {} fields, more than {FIELDS}", named.len())));
    }
    if let Some(name) = script(container).into_iter().flat_map(field::words).find(|(name, _)| named.contains_key(name))
    {
        let name = name.0;
        let message = format!("the value of {{{name}}} would become part of a script, and be run");
        let hint = format!(
            "give it as an argument: sh -c 'echo \"$1\"' sh {{{name}}}; or as a variable: --env X={{{name}}}, and \"$X\""
        );
        return Err(Failure::usage(message).hint(hint));
    }
    stage.fields = named.into_keys().map(str::to_owned).collect();
    Ok(())
}

fn texts(container: &Container) -> impl Iterator<Item = &String> {
    let values = container.env.iter().map(|var| &var.value);
    container.entrypoint.iter().chain(&container.command).chain(values)
}

/// The script that a shell is given as an argument.
fn script(container: &Container) -> Option<&str> {
    let mut words = container.entrypoint.iter().chain(&container.command);
    let is_shell = |word: &&String| {
        let name = Path::new(word.as_str()).file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| SHELLS.contains(&name))
    };
    words.find(is_shell)?;
    let is_script = |word: &&String| word.starts_with('-') && !word.starts_with("--") && word.ends_with('c');
    words.find(is_script)?;
    words.next().map(String::as_str)
}

/// What the file is called in errors.
pub fn shown(file: &Path) -> String {
    if file == Path::new("-") { "standard input".to_owned() } else { escape::path(file) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(command: &[&str], lines: &[&'static str]) -> Result<Vec<String>, String> {
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        let mut stage = Stage { container: Some(Container { command, ..Container::default() }), ..Stage::default() };
        let item = |(at, line): (usize, &&'static str)| Input {
            path: format!("line-{at}"),
            source: Source::Bytes(line.as_bytes().into()),
        };
        let items: Vec<_> = lines.iter().enumerate().map(item).collect();
        tell(&mut stage, &items).map(|()| stage.fields).map_err(|error| error.to_string())
    }

    const LINES: [&str; 2] = [r#"{"url": "a", "n": 1, "name": "x"}"#, r#"{"url": "b", "n": 2, "name": "y"}"#];

    #[test]
    fn fields_that_a_command_names_are_told_and_other_braces_are_left_alone() {
        assert_eq!(told(&["wget", "-O", "{out}", "{url}?n={n}", "{.name}"], &LINES).unwrap(), ["n", "name", "url"]);
        assert_eq!(told(&["awk", "{print} {x}", "{in}"], &LINES).unwrap(), Vec::<String>::new());
        assert_eq!(told(&["sh", "-c", "echo \"$1\" > {out}", "sh", "{url}"], &LINES).unwrap(), ["url"]);
    }

    #[test]
    fn what_cannot_be_filled_in_is_refused_before_anything_is_sent() {
        let lacking = [LINES[0], r#"{"n": 2}"#];
        for (command, lines, why) in [
            (&["wget", "{url}"][..], &lacking[..], "line-1: the line has no field url"),
            (&["wget", "{.other}"], &LINES, "no field other"),
            (&["echo", "{name}"], &LINES, "a word of Longshore's"),
            (&["sh", "-c", "wget '{url}'"], &LINES, "part of a script"),
            (&["/bin/bash", "-ec", "x {.n}"], &LINES, "part of a script"),
            (&["busybox", "sh", "-c", "x {n}"], &LINES, "part of a script"),
            (&["cat"], &["[1]"], "line-0: the line is no JSON object"),
            (&["echo", "{a}"], &[r#"{"a": "\u0000"}"#], "NUL"),
        ] {
            let refused = told(command, lines).unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
    }
}
