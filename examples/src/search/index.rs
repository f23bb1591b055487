//! An inverted index in memory: for each word the documents that have it.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use walkdir::WalkDir;

use super::ranking::{Found, HITS_MAX, Hit, Ranking};

/// Largest document. A larger one is refused at the start: it would have to be in memory while it is read.
const FILE_MAX_BYTES: u64 = 256 << 20;

/// Longest word in the index, in bytes; longer ones cannot be found.
const WORD_MAX_BYTES: usize = 64;

/// Most different words in a query.
const QUERY_MAX_WORDS: usize = 32;

/// How much of a document a snippet shows: from so many bytes before the first word found …
const SNIPPET_BEFORE_BYTES: u64 = 60;

/// … and so many in all.
const SNIPPET_MAX_BYTES: usize = 160;

/// Every word of the documents below a directory.
#[derive(Debug, Default)]
pub struct Index {
    directory: PathBuf,
    /// A document's number is its place here.
    files: Vec<PathBuf>,
    postings: HashMap<String, Vec<Posting>>,
}

/// A document that has a word.
#[derive(Debug, Clone, Copy)]
struct Posting {
    file: u32,
    count: u32,
    /// Where the word occurs first, in bytes from the beginning. Paths, not texts, are kept in memory.
    first: u64,
}

impl Index {
    /// Reads every file below a directory. Symbolic links are not followed.
    ///
    /// # Errors
    /// When one cannot be read, or is larger than 256 MiB; it is named.
    pub fn of_directory(directory: &Path) -> anyhow::Result<Self> {
        let mut index = Self { directory: directory.to_owned(), ..Self::default() };
        for entry in WalkDir::new(directory).sort_by_file_name() {
            let entry = entry?;
            if entry.file_type().is_file() {
                index.add(entry.path()).with_context(|| entry.path().display().to_string())?;
            }
        }
        Ok(index)
    }

    fn add(&mut self, path: &Path) -> anyhow::Result<()> {
        let size = fs::metadata(path)?.len();
        ensure!(size <= FILE_MAX_BYTES, "{size} bytes are more than the {FILE_MAX_BYTES} that a document may have");
        let file = u32::try_from(self.files.len()).context("there are too many files")?;
        let mut words: HashMap<String, Posting> = HashMap::new();
        for (first, word) in words_of(&fs::read(path)?) {
            let posting = words.entry(word).or_insert(Posting { file, count: 0, first });
            posting.count = posting.count.saturating_add(1);
        }
        for (word, posting) in words {
            self.postings.entry(word).or_default().push(posting);
        }
        self.files.push(path.to_owned());
        Ok(())
    }

    /// The documents that have any of the words.
    ///
    /// # Errors
    /// When a document that was read at the start cannot be read any more.
    pub fn search(&self, words: &BTreeSet<String>) -> anyhow::Result<Found> {
        let mut matches: HashMap<u32, Match> = HashMap::new();
        for posting in words.iter().filter_map(|word| self.postings.get(word)).flatten() {
            matches.entry(posting.file).or_default().add(posting);
        }
        let matching = matches.len() as u64;
        let hits = self.best(matches).into_iter().map(|(hit, path, first)| with_snippet(hit, path, first));
        let hits: Vec<Hit> = hits.collect::<anyhow::Result<_>>()?;
        Ok(Found { matching, searched: self.files.len() as u64, hits: Ranking::from(hits) })
    }

    /// The best hits, without their snippets: only these are worth a look into their files.
    fn best(&self, matches: HashMap<u32, Match>) -> Vec<(Hit, &Path, u64)> {
        let hit = |(file, matched): (u32, Match)| {
            let path = &self.files[file as usize];
            let file = path.strip_prefix(&self.directory).unwrap_or(path).to_string_lossy().into_owned();
            let hit = Hit { file, words: matched.words, count: matched.count, snippet: String::new() };
            (hit, path.as_path(), matched.first)
        };
        let mut hits: Vec<_> = matches.into_iter().map(hit).collect();
        hits.sort_unstable_by(|(a, ..), (b, ..)| a.rank(b));
        hits.truncate(HITS_MAX);
        hits
    }
}

/// Why something is no query.
#[derive(Debug, thiserror::Error)]
pub enum NoQuery {
    /// It has no word.
    #[error("the query has no word to search for")]
    Empty,
    /// It has too many.
    #[error("the query has {0} words; {QUERY_MAX_WORDS} are the most")]
    TooLong(usize),
}

/// The words of a query; at least one and at most 32.
///
/// # Errors
/// With what is wrong about it.
pub fn query_words(query: &str) -> Result<BTreeSet<String>, NoQuery> {
    let words: BTreeSet<String> = words_of(query.as_bytes()).map(|(_, word)| word).collect();
    match words.len() {
        0 => Err(NoQuery::Empty),
        1..=QUERY_MAX_WORDS => Ok(words),
        many => Err(NoQuery::TooLong(many)),
    }
}

/// How a document matches a query.
#[derive(Debug, Clone, Copy, Default)]
struct Match {
    words: u32,
    count: u64,
    first: u64,
}

impl Match {
    fn add(&mut self, posting: &Posting) {
        self.first = if self.words == 0 { posting.first } else { self.first.min(posting.first) };
        self.words += 1;
        self.count += u64::from(posting.count);
    }
}

/// The words of a text, in lower case, and where they begin: letters and digits of ASCII and everything beyond it.
fn words_of(text: &[u8]) -> impl Iterator<Item = (u64, String)> {
    let in_word = |byte: &u8| byte.is_ascii_alphanumeric() || !byte.is_ascii();
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let first = at + text[at..].iter().position(in_word)?;
            let length = text[first..].iter().position(|byte| !in_word(byte)).unwrap_or(text.len() - first);
            at = first + length;
            if length <= WORD_MAX_BYTES {
                return Some((first as u64, String::from_utf8_lossy(&text[first..at]).to_lowercase()));
            }
        }
    })
}

fn with_snippet(hit: Hit, path: &Path, first: u64) -> anyhow::Result<Hit> {
    let snippet = snippet(path, first).with_context(|| path.display().to_string())?;
    Ok(Hit { snippet, ..hit })
}

/// The text around a place, in one line of whole words.
fn snippet(path: &Path, first: u64) -> std::io::Result<String> {
    let start = first.saturating_sub(SNIPPET_BEFORE_BYTES);
    let mut bytes = [0; SNIPPET_MAX_BYTES];
    let length = read_at(&File::open(path)?, &mut bytes, start)?;
    let text = String::from_utf8_lossy(&bytes[..length]);
    let whole = if start > 0 { text.split_once(char::is_whitespace).map_or(&*text, |(_, rest)| rest) } else { &text };
    let whole = if length == SNIPPET_MAX_BYTES {
        whole.rsplit_once(char::is_whitespace).map_or(whole, |(rest, _)| rest)
    } else {
        whole
    };
    Ok(whole.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// As much of the file as there is, up to the buffer's size.
fn read_at(file: &File, buffer: &mut [u8], start: u64) -> std::io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match file.read_at(&mut buffer[length..], start + length as u64)? {
            0 => break,
            read => length += read,
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index_of(files: &[(&str, &str)]) -> (tempfile::TempDir, Index) {
        let directory = tempfile::tempdir().unwrap();
        for (file, text) in files {
            let path = directory.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let index = Index::of_directory(directory.path()).unwrap();
        (directory, index)
    }

    fn search(index: &Index, query: &str) -> Found {
        index.search(&query_words(query).unwrap()).unwrap()
    }

    const FILES: [(&str, &str); 4] = [
        ("sea/moby", "The white whale; the WHALE!\nCall me Ishmael."),
        ("sea/jonah", "A great fish, some say a whale."),
        ("land.txt", "A white horse"),
        ("empty", ""),
    ];

    #[test]
    fn documents_with_more_of_the_words_come_first() {
        let (_directory, index) = index_of(&FILES);
        let found = search(&index, "White, whale");
        let hits: Vec<_> = found.hits.hits().iter().map(|hit| (hit.file.as_str(), hit.words, hit.count)).collect();
        assert_eq!(hits, [("sea/moby", 2, 3), ("land.txt", 1, 1), ("sea/jonah", 1, 1)]);
        assert_eq!((found.matching, found.searched), (3, 4));
    }

    #[test]
    fn shards_together_answer_as_one_index_would() {
        use merger_sdk::Partial;
        let (_whole, whole) = index_of(&FILES);
        let shards = [index_of(&FILES[..1]), index_of(&FILES[1..3]), index_of(&FILES[3..])];
        for query in ["whale", "white whale", "a", "nothing"] {
            let mut merged = Found::default();
            for (_directory, shard) in &shards {
                merged.merge(search(shard, query));
            }
            assert_eq!(merged, search(&whole, query), "{query}");
        }
    }

    #[test]
    fn a_snippet_is_a_line_of_whole_words_around_the_first_hit() {
        let text = format!("{}needle\n\n in a {}", "hay ".repeat(100), "stack ".repeat(100));
        let (_directory, index) = index_of(&[("long", &text)]);
        let found = search(&index, "needle");
        let snippet = &found.hits.hits()[0].snippet;
        assert!(snippet.contains("hay hay needle in a stack stack"), "{snippet}");
        assert!(snippet.split(' ').all(|word| ["hay", "needle", "in", "a", "stack"].contains(&word)), "{snippet}");
    }

    #[test]
    fn words_beyond_ascii_and_bytes_that_are_no_text_are_words_too() {
        let (directory, _) = index_of(&[]);
        fs::write(directory.path().join("mixed"), b"\xc3\x9cBER \xff\xfe naive").unwrap();
        let index = Index::of_directory(directory.path()).unwrap();
        assert_eq!(search(&index, "über").hits.hits().len(), 1);
        assert_eq!(search(&index, "naive").hits.hits().len(), 1);
    }

    #[test]
    fn a_query_without_words_or_with_too_many_is_refused() {
        assert!(query_words(" \n?!").is_err());
        let many: String = (0..33).map(|word| format!("{word} ")).collect();
        assert!(query_words(&many).unwrap_err().to_string().contains("33"));
    }
}
