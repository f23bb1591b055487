//! Fields of items that are JSON objects, as words of a command: `{url}`, or `{.url}` where the name is a word of ours too.

/// Characters of a field's name.
const NAME_CHARS: usize = 64;

/// Whether a field of this name can be a word: letters, digits, `_` and `-`, beginning with a letter or `_`.
pub fn is_name(name: &str) -> bool {
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    begins && name.len() <= NAME_CHARS && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
}

/// The names in braces of a text that could be fields, each with whether a dot says that it is one.
pub fn words(text: &str) -> impl Iterator<Item = (&str, bool)> {
    text.match_indices('{').filter_map(|(at, _)| {
        let inside = text[at + 1..].split_once('}')?.0;
        let (name, dotted) = inside.strip_prefix('.').map_or((inside, false), |name| (name, true));
        is_name(name).then_some((name, dotted))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_braces_are_found_and_nothing_else_is() {
        let text = "x{url}{.name} {n+=1} {print $1} {} {.} {a b} {1st} {_x-1} {{in}} ${HOME} {open";
        let found: Vec<_> = words(text).collect();
        assert_eq!(found, [("url", false), ("name", true), ("_x-1", false), ("in", false), ("HOME", false)]);
        assert!(is_name(&"n".repeat(64)) && !is_name(&"n".repeat(65)) && !is_name("ü") && !is_name(""));
    }
}
