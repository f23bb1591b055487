//! The key of an input, for stages that gather by groups: made of its path alone.

use longshore_proto::v1;
use regex::{Regex, RegexBuilder};

/// Bytes of a key's text or expression: people write them by hand.
pub const KEY_BYTES: usize = 256;

/// Bytes of a compiled expression: a small multiple of what one of that length needs.
const COMPILED_BYTES: usize = 1 << 20;

/// How keys are made.
#[derive(Debug, Clone)]
pub enum Keyed {
    /// Of parts of the path.
    By(Vec<Piece>),
    /// Of what an expression finds in it.
    Match(Regex),
}

/// A piece of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Text(String),
    /// All but the last component; `.` where that is the only one.
    Dir,
    /// The last component.
    Name,
    /// The last component without its extension.
    Stem,
    /// The extension of the last component, without its dot.
    Ext,
    /// That component, counted from 1.
    Part(usize),
}

impl Keyed {
    /// How a stage makes keys, if it does; an error says what is wrong with that.
    pub fn of(stage: &v1::Stage) -> Result<Option<Self>, String> {
        let Some(gather) = &stage.gather else { return Ok(None) };
        let long = |text: &str| text.len() > KEY_BYTES;
        if long(&gather.by) || long(&gather.r#match) {
            return Err(format!("what a key is made of has at most {KEY_BYTES} bytes"));
        }
        match (gather.by.as_str(), gather.r#match.as_str()) {
            ("", "") => Ok(None),
            (by, "") => pieces(by).map(|pieces| Some(Self::By(pieces))),
            ("", expression) => RegexBuilder::new(expression)
                .size_limit(COMPILED_BYTES)
                .dfa_size_limit(COMPILED_BYTES)
                .build()
                .map(|regex| Some(Self::Match(regex)))
                .map_err(|error| format!("match {expression:?} is no regular expression: {error}")),
            _ => Err("gather: by and match do not go together; either makes the keys".to_owned()),
        }
    }

    /// The key of an input of that path, if it has one.
    pub fn key(&self, path: &str) -> Option<String> {
        let pieces = match self {
            Self::Match(regex) => {
                let found = regex.captures(path)?;
                return Some(found.get(1).or_else(|| found.get(0))?.as_str().to_owned());
            }
            Self::By(pieces) => pieces,
        };
        let (dir, name) = path.rsplit_once('/').unwrap_or((".", path));
        let dot = name.rfind('.').filter(|dot| *dot > 0);
        let mut key = String::new();
        for piece in pieces {
            key.push_str(match piece {
                Piece::Text(text) => text,
                Piece::Dir => dir,
                Piece::Name => name,
                Piece::Stem => &name[..dot.unwrap_or(name.len())],
                Piece::Ext => &name[dot? + 1..],
                Piece::Part(number) => path.split('/').nth(number - 1)?,
            });
        }
        Some(key)
    }
}

fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while let Some((before, behind)) = rest.split_once('{') {
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned()));
        }
        let (word, after) = behind.split_once('}').ok_or_else(|| format!("by {text:?} has a {{ without its }}"))?;
        let part = word.strip_prefix("part:").and_then(|number| number.parse().ok()).filter(|number| *number > 0);
        pieces.push(match (word, part) {
            ("dir", _) => Piece::Dir,
            ("name", _) => Piece::Name,
            ("stem", _) => Piece::Stem,
            ("ext", _) => Piece::Ext,
            (_, Some(number)) => Piece::Part(number),
            _ => {
                return Err(format!(
                    "by {text:?} has {{{word}}}, which is nothing of a path: those are {{dir}}, {{name}}, {{stem}}, {{ext}} \
                     and {{part:N}}"
                ));
            }
        });
        rest = after;
    }
    if pieces.is_empty() {
        return Err(format!(
            "by {text:?} is the same for every input: name {{dir}}, {{name}}, {{stem}}, {{ext}} or {{part:N}}"
        ));
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyed(by: &str, expression: &str) -> Result<Option<Keyed>, String> {
        let gather = v1::Gather { by: by.to_owned(), r#match: expression.to_owned(), ..v1::Gather::default() };
        Keyed::of(&v1::Stage { gather: Some(gather), ..v1::Stage::default() })
    }

    #[test]
    fn keys_are_made_of_paths_alone() {
        for (by, path, key) in [
            ("{dir}", "a/b/c.txt", Some("a/b")),
            ("{dir}", "c.txt", Some(".")),
            ("{name}", "a/c.txt", Some("c.txt")),
            ("{stem}", "a/c.tar.gz", Some("c.tar")),
            ("{stem}", "a/.profile", Some(".profile")),
            ("{ext}", "a/c.tar.gz", Some("gz")),
            ("{ext}", "a/README", None),
            ("{part:2}", "a/b/c", Some("b")),
            ("{part:4}", "a/b/c", None),
            ("by-{part:1}-{ext}!", "a/b.x", Some("by-a-x!")),
        ] {
            assert_eq!(keyed(by, "").unwrap().unwrap().key(path).as_deref(), key, "{by} of {path}");
        }
        for (expression, path, key) in [
            (r"^(\w+)_\d+", "cat_12.png", Some("cat")),
            (r"^(\w+)_\d+", "cat.png", None),
            (r"[0-9]+", "a/b17c", Some("17")),
        ] {
            assert_eq!(keyed("", expression).unwrap().unwrap().key(path).as_deref(), key, "{expression} of {path}");
        }
    }

    #[test]
    fn what_makes_no_keys_is_refused_by_name() {
        for (by, expression, why) in [
            ("{outdir}", "", "{outdir}, which is nothing of a path"),
            ("{part:0}", "", "nothing of a path"),
            ("{dir", "", "without its }"),
            ("all", "", "the same for every input"),
            ("", "(", "no regular expression"),
            ("{dir}", "x", "do not go together"),
            ("", "(((a{100}){100}){100})", "no regular expression"),
        ] {
            let refused = keyed(by, expression).unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
        assert!(keyed("", "").unwrap().is_none());
        assert!(keyed(&"x".repeat(KEY_BYTES + 1), "").is_err());
    }
}
