//! How often each word occurs: the format that the stages hand on, `count word` in lines.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};

use anyhow::{Context, bail};

/// How often each word occurs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts(BTreeMap<String, u64>);

impl Counts {
    /// Reads lines of `count word`, blanks before the count allowed; empty lines are skipped.
    ///
    /// # Errors
    /// When the input cannot be read or a line is something else; the line is named by its number.
    pub fn read(input: impl BufRead) -> anyhow::Result<Self> {
        let mut counts = Self::default();
        for (line, number) in input.lines().zip(1_u64..) {
            let line = line.with_context(|| format!("line {number}"))?;
            if !line.trim().is_empty() {
                counts.read_line(&line).with_context(|| format!("line {number}: {line:?}"))?;
            }
        }
        Ok(counts)
    }

    fn read_line(&mut self, line: &str) -> anyhow::Result<()> {
        let mut fields = line.split_whitespace();
        let (Some(count), Some(word), None) = (fields.next(), fields.next(), fields.next()) else {
            bail!("not a count and a word");
        };
        self.add(word, count.parse().context("the count is no number")?)
    }

    /// Adds occurrences of a word.
    ///
    /// # Errors
    /// When the sum is past 64 bits.
    pub fn add(&mut self, word: &str, count: u64) -> anyhow::Result<()> {
        let Some(sum) = self.0.get_mut(word) else {
            self.0.insert(word.to_owned(), count);
            return Ok(());
        };
        *sum = sum.checked_add(count).with_context(|| format!("too many of {word:?} to count"))?;
        Ok(())
    }

    /// Adds what others have counted.
    ///
    /// # Errors
    /// When a sum is past 64 bits.
    pub fn add_all(&mut self, others: Self) -> anyhow::Result<()> {
        others.0.into_iter().try_for_each(|(word, count)| self.add(&word, count))
    }

    /// Keeps the words for which `keep` holds.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.0.retain(|word, _| keep(word));
    }

    /// Writes all, by word.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn write_by_word(&self, output: impl Write) -> anyhow::Result<()> {
        write_lines(self.0.iter().map(|(word, count)| (word.as_str(), *count)), output)
    }

    /// Writes the `most` most frequent, the most frequent first, those of one count by word.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn write_by_count(&self, most: usize, output: impl Write) -> anyhow::Result<()> {
        let mut lines: Vec<_> = self.0.iter().map(|(word, count)| (word.as_str(), *count)).collect();
        lines.sort_by(|(a_word, a), (b_word, b)| b.cmp(a).then_with(|| a_word.cmp(b_word)));
        write_lines(lines.into_iter().take(most), output)
    }
}

fn write_lines<'a>(lines: impl Iterator<Item = (&'a str, u64)>, mut output: impl Write) -> anyhow::Result<()> {
    for (word, count) in lines {
        writeln!(output, "{count} {word}")?;
    }
    output.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> anyhow::Result<Counts> {
        Counts::read(text.as_bytes())
    }

    #[test]
    fn counts_of_one_word_add_up() {
        let counts = read("2 whale\n      1 sea\n\n3 whale\n").unwrap();
        let mut out = Vec::new();
        counts.write_by_word(&mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "1 sea\n5 whale\n");
    }

    #[test]
    fn the_most_frequent_come_first_and_equals_by_word() {
        let counts = read("2 b\n2 a\n9 z\n1 c\n").unwrap();
        let mut out = Vec::new();
        counts.write_by_count(3, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "9 z\n2 a\n2 b\n");
    }

    #[test]
    fn a_line_of_something_else_is_named() {
        for text in ["1 a\nmany b\n", "1 a\n1\n", "1 a\n1 b c\n", "1 a\n-1 b\n"] {
            let error = format!("{:#}", read(text).unwrap_err());
            assert!(error.starts_with("line 2"), "{error}");
        }
    }

    #[test]
    fn a_sum_past_64_bits_is_an_error_not_a_small_number() {
        assert!(read(&format!("{} a\n1 a\n", u64::MAX)).is_err());
    }
}
