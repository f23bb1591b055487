//! The container contract: every name and number that an image sees of Longshore.
//!
//! An image serves as stage, gather, leaf or merge without a change, so what it is told has one home: the words in
//! braces of its command ([`Word`]), the variables of its environment ([`mod@env`]), the headers and paths of the requests
//! to its server ([`header`], [`path`]), and what it may be sent and may answer ([`bounds`]). `docs/containers.md` is the
//! same for people. There is no code here but what these names mean, and no dependency.

pub mod bounds;
pub mod env;
pub mod header;
pub mod path;
mod word;

pub use word::Word;

/// TCP port of a server whose container does not say.
pub const DEFAULT_PORT: u16 = 8080;

#[cfg(test)]
mod tests {
    use super::*;

    /// What people read, of which nothing may be missing.
    const PAGE: &str = include_str!("../../../docs/containers.md");

    /// The values of all constants of a file that are texts.
    fn texts(source: &str) -> impl Iterator<Item = &str> {
        source
            .lines()
            .filter_map(|line| line.strip_prefix("pub const ")?.split_once("&str = \"")?.1.strip_suffix("\";"))
    }

    #[test]
    fn every_word_is_on_the_page() {
        for word in Word::ALL {
            assert!(PAGE.contains(&format!("`{{{}}}`", word.text().trim_matches(['{', '}']))), "{}", word.text());
        }
    }

    #[test]
    fn every_variable_header_and_path_is_on_the_page() {
        let sources = [include_str!("env.rs"), include_str!("header.rs"), include_str!("path.rs")];
        // What answers to queries alone bring is no container's.
        let is_for_containers = |name: &&str| ![header::COVERED, env::PREFIX].contains(name);
        let names: Vec<&str> = sources.into_iter().flat_map(texts).filter(is_for_containers).collect();
        assert!(names.len() > 20, "{names:?}");
        for name in names {
            assert!(PAGE.contains(name), "{name}");
        }
    }
}
