//! Failures that are alike: of one class and code, and with the same first words. Numbers count as the same word, and so do long
//! names of files and ids, or no two would be alike.

use longshore_proto::{Digest, v1::Failure};

/// Words that count.
const WORDS: usize = 12;

/// Bytes of a message that are looked at.
const BYTES: usize = 256;

/// The same for failures that are alike.
pub fn of(failure: &Failure) -> u64 {
    let text = format!("{} {} {}", failure.class, failure.code, words(&failure.message));
    let digest = Digest::of(text.as_bytes()).to_wire();
    let first = digest.first_chunk().copied().unwrap_or_default();
    u64::from_le_bytes(first)
}

/// The first words of a message, each run of digits as one `#`, and what is quoted or a path as one `…`.
fn words(message: &str) -> String {
    let mut end = message.len().min(BYTES);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    let mut said = String::new();
    for word in message[..end].split_whitespace().take(WORDS) {
        if word.contains(['/', '"', '\'', '`']) {
            said.push('…');
        } else {
            let mut digits = false;
            for letter in word.chars() {
                match (letter.is_ascii_digit(), digits) {
                    (true, true) => {}
                    (true, false) => said.push('#'),
                    (false, _) => said.push(letter),
                }
                digits = letter.is_ascii_digit();
            }
        }
        said.push(' ');
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(code: i32, message: &str) -> u64 {
        of(&Failure { class: 1, code, message: message.to_owned(), ..Failure::default() })
    }

    #[test]
    fn failures_are_alike_that_differ_in_numbers_paths_and_what_is_quoted() {
        assert_eq!(said(2, "line 17 of /a/b is bad"), said(2, "line 9 of /c is bad"));
        assert_eq!(said(2, "no file \"a\" here"), said(2, "no file \"b\" here"));
    }

    #[test]
    fn failures_of_another_class_code_or_wording_are_not_alike() {
        let one = said(2, "exit code 2");
        assert_ne!(one, said(3, "exit code 3"));
        assert_ne!(one, said(2, "killed"));
        assert_ne!(one, of(&Failure { class: 2, code: 2, message: "exit code 2".to_owned(), ..Failure::default() }));
    }

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        assert_eq!(words(&"é".repeat(1_000)).chars().count(), BYTES / 2 + 1);
    }
}
