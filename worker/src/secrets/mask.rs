//! Values of secrets, hidden where the worker captures what a process says: logs, tails, the words of failures. Outputs are the
//! user's own bytes and stay as they are.
//!
//! Hidden are a value, each line of one with several, and the base64 of the whole. What a process makes of a value otherwise cannot be
//! known. What is shorter than [`LEAST`] bytes would hide half of every log and keep no secret.

use std::{ops::Range, sync::OnceLock};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use bytes::Bytes;
use daachorse::DoubleArrayAhoCorasick;
use longshore_proto::v1::Failure;
use longshore_shim::Log;
use zeroize::Zeroizing;

/// What stands for a value.
const HIDDEN: &[u8] = b"***";

/// What stands where words were cut.
pub(crate) const CUT: char = '…';

/// Bytes of the shortest text that is hidden.
const LEAST: usize = 4;

/// Hides the values of some secrets.
pub(crate) struct Mask {
    patterns: Vec<Zeroizing<Vec<u8>>>,
    /// Made when something is to be hidden first: long values take their time, and whoever is told of them has none. `None` where
    /// nothing is long enough.
    finder: OnceLock<Option<DoubleArrayAhoCorasick<u32>>>,
}

/// Where a text goes on that is not there: a part of a value may stand at its edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    Nowhere,
    Before,
    Behind,
}

impl Mask {
    /// Of these values.
    pub(crate) fn of<'a>(values: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut patterns: Vec<Zeroizing<Vec<u8>>> = Vec::new();
        for value in values {
            let lines = value.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
            // A newline that ends it is part of the log, too.
            patterns.extend(lines.chain([value.trim_ascii_end()]).map(|text| Zeroizing::new(text.to_vec())));
            for text in [value, value.trim_ascii_end()] {
                // What pads it is no part of the secret.
                let encoded = [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD].map(|base64| base64.encode(text).into_bytes());
                patterns.extend(encoded.map(Zeroizing::new));
            }
        }
        patterns.retain(|text| text.len() >= LEAST);
        patterns.sort_unstable_by(|a, b| a[..].cmp(&b[..]));
        patterns.dedup_by(|a, b| a[..] == b[..]);
        Self { patterns, finder: OnceLock::new() }
    }

    /// A log in one piece, with a part left out or not.
    pub(crate) fn log(&self, log: Log) -> Log {
        let Log { mut head, tail, dropped } = log;
        if dropped == 0 {
            // In one piece: a value may begin in the one and end in the other.
            head.extend_from_slice(&tail);
            return Log { head: self.hide(&head, Cut::Nowhere), tail: Vec::new(), dropped };
        }
        Log { head: self.hide(&head, Cut::Behind), tail: self.hide(&tail, Cut::Before), dropped }
    }

    /// What a failure says of itself.
    pub(crate) fn failure(&self, failure: &mut Failure) {
        failure.message = self.text(&failure.message);
        failure.stderr_tail = Bytes::from(self.hide(&failure.stderr_tail, Cut::Before));
    }

    /// A text. Where it says of itself that something is [`CUT`] off, the beginning of a value may be left.
    pub(crate) fn text(&self, text: &str) -> String {
        let hidden = self.hide(text.as_bytes(), Cut::Nowhere);
        let mut text = String::from_utf8_lossy(&hidden).into_owned();
        let mut from = 0;
        while let Some(cut) = text[from..].find(CUT).map(|at| from + at) {
            let before = self.hide(&text.as_bytes()[from..cut], Cut::Behind);
            let before = String::from_utf8_lossy(&before).into_owned();
            text.replace_range(from..cut, &before);
            from += before.len() + CUT.len_utf8();
        }
        text
    }

    /// The first bytes of something longer.
    pub(crate) fn beginning(&self, bytes: &[u8]) -> Vec<u8> {
        self.hide(bytes, Cut::Behind)
    }

    fn finder(&self) -> Option<&DoubleArrayAhoCorasick<u32>> {
        // Refused are none at all, and more than secrets may have by far.
        self.finder
            .get_or_init(|| DoubleArrayAhoCorasick::new(self.patterns.iter().map(|text| &text[..])).ok())
            .as_ref()
    }

    fn hide(&self, bytes: &[u8], cut: Cut) -> Vec<u8> {
        let Some(finder) = (!bytes.is_empty()).then(|| self.finder()).flatten() else { return bytes.to_vec() };
        let mut spans = Spans::default();
        if cut == Cut::Before {
            spans.add(0..self.edge(end_at_the_beginning, bytes));
        }
        // Values may overlap, so there is a match for every byte that one ends at: the longest, which the others are in.
        for found in finder.find_overlapping_no_suffix_iter(bytes) {
            spans.add(found.start()..found.end());
        }
        if cut == Cut::Behind {
            spans.add(bytes.len() - self.edge(beginning_at_the_end, bytes)..bytes.len());
        }
        spans.hidden_in(bytes)
    }

    /// The longest of all values' overlaps with the edge of these bytes.
    fn edge(&self, of: fn(&[u8], &[u8]) -> usize, bytes: &[u8]) -> usize {
        self.patterns.iter().map(|text| of(text, bytes)).max().unwrap_or(0)
    }
}

/// What is to be hidden: apart from each other, and in order. What one byte ends, or what comes later, is added later.
#[derive(Default)]
struct Spans(Vec<Range<usize>>);

impl Spans {
    /// Adds one that ends no earlier than all before: those that it reaches become one with it. Each is taken away once at most.
    fn add(&mut self, mut span: Range<usize>) {
        if span.is_empty() {
            return;
        }
        while let Some(last) = self.0.pop_if(|last| last.end >= span.start) {
            span.start = span.start.min(last.start);
            span.end = span.end.max(last.end);
        }
        self.0.push(span);
    }

    fn hidden_in(&self, bytes: &[u8]) -> Vec<u8> {
        let (mut hidden, mut shown_to) = (Vec::with_capacity(bytes.len()), 0);
        for span in &self.0 {
            hidden.extend_from_slice(&bytes[shown_to..span.start]);
            hidden.extend_from_slice(HIDDEN);
            shown_to = span.end;
        }
        hidden.extend_from_slice(&bytes[shown_to..]);
        hidden
    }
}

/// Bytes of the longest beginning of `text`, but not all of it, that `bytes` ends with.
fn beginning_at_the_end(text: &[u8], bytes: &[u8]) -> usize {
    let last = &bytes[bytes.len().saturating_sub(text.len() - 1)..];
    // No more of it than they and one more can matter.
    let text = &text[..text.len().min(last.len() + 1)];
    overlap(text.iter(), last.iter(), text)
}

/// Bytes of the longest end of `text`, but not all of it, that `bytes` begins with.
fn end_at_the_beginning(text: &[u8], bytes: &[u8]) -> usize {
    let first = &bytes[..bytes.len().min(text.len() - 1)];
    let turned: Zeroizing<Vec<u8>> = Zeroizing::new(text.iter().rev().take(first.len() + 1).copied().collect());
    overlap(turned.iter(), first.iter().rev(), &turned)
}

/// How much of the beginning of `text` stands at the end of `bytes`, which are fewer (Knuth, Morris and Pratt).
fn overlap<'a>(text: impl Iterator<Item = &'a u8>, bytes: impl Iterator<Item = &'a u8>, all: &[u8]) -> usize {
    let mut failing = vec![0; all.len()];
    let mut matched = 0;
    for (at, byte) in text.enumerate().skip(1) {
        while matched > 0 && all[matched] != *byte {
            matched = failing[matched - 1];
        }
        matched += usize::from(all[matched] == *byte);
        failing[at] = matched;
    }
    let mut matched = 0;
    for byte in bytes {
        while matched > 0 && all[matched] != *byte {
            matched = failing[matched - 1];
        }
        matched += usize::from(all[matched] == *byte);
    }
    matched
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mask(values: &[&[u8]]) -> Mask {
        Mask::of(values.iter().copied())
    }

    fn hidden(values: &[&[u8]], text: &str) -> String {
        mask(values).text(text)
    }

    #[test]
    fn a_value_its_lines_and_their_base64_are_hidden() {
        let key = b"-----BEGIN-----\r\nMIIabcd\r\nab\n-----END-----\n";
        assert_eq!(hidden(&[b"hunter2"], "hunter2 hunter hunter2hunter2"), "*** hunter ***");
        assert_eq!(
            hidden(&[b"hunter2\n"], "a hunter2\nb aHVudGVyMg== aHVudGVyMgo= aHVudGVyMg"),
            "a ***\nb ***== ***= ***"
        );
        assert_eq!(hidden(&[key], "x MIIabcd y\n-----END-----"), "x *** y\n***");
        assert_eq!(hidden(&[b"a", b"abc"], "abc a"), "abc a", "too short to be one");
        assert_eq!(hidden(&[b"abcdef", b"defghi"], "-abcdefghi-"), "-***-", "values that overlap");
        assert_eq!(hidden(&[], "anything"), "anything");
    }

    #[test]
    fn what_a_cut_has_left_of_a_value_is_hidden_too() {
        let mask = mask(&[b"hunter2", b"unterwegs"]);
        let log = |head: &[u8], tail: &[u8], dropped| {
            let Log { head, tail, .. } = mask.log(Log { head: head.to_vec(), tail: tail.to_vec(), dropped });
            (String::from_utf8(head).unwrap(), String::from_utf8(tail).unwrap())
        };
        assert_eq!(log(b"a hun", b"ter2 b", 1), ("a ***".to_owned(), "*** b".to_owned()));
        assert_eq!(log(b"a hun", b"ter2 b", 0), ("a *** b".to_owned(), String::new()));
        assert_eq!(log(b"a hunter2", b"hunter2 b", 9), ("a ***".to_owned(), "*** b".to_owned()));
        assert_eq!(log(b"unterwe", b"gs", 9), ("***".to_owned(), "***".to_owned()));
        let mut failure =
            Failure { message: "said hunter2".to_owned(), stderr_tail: "r2\nhunter2".into(), ..Failure::default() };
        mask.failure(&mut failure);
        assert_eq!((failure.message.as_str(), &failure.stderr_tail[..]), ("said ***", &b"***\n***"[..]));
    }

    #[test]
    fn a_long_value_that_repeats_itself_takes_no_time() {
        let value = vec![b'a'; 65_536];
        let begun = std::time::Instant::now();
        let log = mask(&[&value]).log(Log { head: vec![b'a'; 32_768], tail: vec![b'a'; 32_768], dropped: 1 });
        assert_eq!((log.head, log.tail), (HIDDEN.to_vec(), HIDDEN.to_vec()));
        assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
    }

    /// Each byte of it ends hundreds of its lines.
    #[test]
    fn lines_that_are_in_each_other_are_hidden_byte_by_byte() {
        let lines: Vec<Vec<u8>> = (4..360).map(|long| vec![b'a'; long]).collect();
        let mask = mask(&[&lines.join(&b'\n')]);
        let log = vec![b'a'; 65_536];
        assert_eq!(mask.hide(&log, Cut::Nowhere), HIDDEN);
        let found = mask.finder().unwrap().find_overlapping_no_suffix_iter(&log).count();
        assert!(found <= log.len(), "{found} matches of {} bytes", log.len());
    }

    #[test]
    fn what_stands_before_the_mark_of_a_cut_may_begin_a_value() {
        assert_eq!(hidden(&[b"hunter2"], r#"cannot run "a/hunte…": no"#), r#"cannot run "a/***…": no"#);
        assert_eq!(hidden(&[b"hunter2"], "hunter2… hun… hunger… hunt"), "***… ***… hunger… hunt");
    }

    proptest! {
        /// The edges are as a plain search finds them.
        #[test]
        fn the_longest_part_at_an_edge_is_found(text in "[ab]{4,9}", bytes in "[ab]{0,20}") {
            let (text, bytes) = (text.as_bytes(), bytes.as_bytes());
            let longest = |fits: &dyn Fn(usize) -> bool| (0..text.len()).rev().find(|&part| fits(part)).unwrap();
            let begins = longest(&|part| bytes.ends_with(&text[..part]));
            let ends = longest(&|part| bytes.starts_with(&text[text.len() - part..]));
            prop_assert_eq!(beginning_at_the_end(text, bytes), begins);
            prop_assert_eq!(end_at_the_beginning(text, bytes), ends);
        }

        /// No whole value is left, whatever stands around it.
        #[test]
        fn no_value_is_left(value in "[ab]{4,6}", before in "[abc]{0,9}", behind in "[abc]{0,9}") {
            let text = format!("{before}{value}{behind}");
            let shown = mask(&[value.as_bytes()]).text(&text);
            prop_assert!(!shown.contains(&value), "{} in {}", value, shown);
        }
    }
}
