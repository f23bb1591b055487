//! Counts the words of a text: runs of ASCII letters, in lower case.

use std::io::{ErrorKind, Read};

use crate::counts::Counts;

/// Longest run of letters that is taken for a word; longer ones are skipped.
const WORD_MAX_BYTES: usize = 64;

/// Counts the words of a text of any size, which need not be UTF-8.
///
/// # Errors
/// When the text cannot be read.
pub fn count(mut text: impl Read) -> anyhow::Result<Counts> {
    let mut counts = Counts::default();
    let mut word = String::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = match text.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        for byte in &buffer[..read] {
            if !byte.is_ascii_alphabetic() {
                end_word(&mut word, &mut counts)?;
            } else if word.len() <= WORD_MAX_BYTES {
                word.push(char::from(byte.to_ascii_lowercase()));
            }
        }
    }
    end_word(&mut word, &mut counts)?;
    Ok(counts)
}

fn end_word(word: &mut String, counts: &mut Counts) -> anyhow::Result<()> {
    if (1..=WORD_MAX_BYTES).contains(&word.len()) {
        counts.add(word, 1)?;
    }
    word.clear();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(text: &[u8]) -> String {
        let mut out = Vec::new();
        count(text).unwrap().write_by_word(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn case_and_what_is_no_letter_do_not_matter() {
        assert_eq!(counted(b"The sea, the SEA!\xff\x00whale-the"), "2 sea\n3 the\n1 whale\n");
    }

    #[test]
    fn a_text_without_words_gives_nothing() {
        assert_eq!(counted(b""), "");
        assert_eq!(counted(b"1851\n"), "");
    }

    #[test]
    fn a_word_may_lie_across_two_reads() {
        let text = [vec![b' '; 64 * 1024 - 2], b"whale".to_vec()].concat();
        assert_eq!(counted(&text), "1 whale\n");
    }

    #[test]
    fn an_endless_word_is_skipped() {
        let text = [vec![b'a'; 1 << 20], b" end ".to_vec(), vec![b'b'; 64], b" ".to_vec(), vec![b'c'; 65]].concat();
        assert_eq!(counted(&text), format!("1 {}\n1 end\n", "b".repeat(64)));
    }
}
