//! Drops the words that say nothing: the most frequent ones of English, and single letters.

use crate::counts::Counts;

/// Words dropped, sorted.
const STOP_WORDS: [&str; 60] = [
    "about", "all", "an", "and", "are", "as", "at", "be", "been", "but", "by", "did", "do", "for", "from", "had",
    "has", "have", "he", "her", "him", "his", "if", "in", "into", "is", "it", "its", "me", "my", "no", "not", "of",
    "on", "one", "or", "our", "out", "she", "so", "than", "that", "the", "their", "them", "then", "there", "they",
    "this", "to", "up", "was", "we", "were", "what", "which", "will", "with", "would", "you",
];

/// Drops them.
pub fn drop_stop_words(counts: &mut Counts) {
    counts.retain(|word| word.len() > 1 && STOP_WORDS.binary_search(&word).is_err());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_words_and_single_letters_go_and_the_rest_stays() {
        let mut counts = Counts::read("9 the\n3 s\n2 whale\n1 with\n".as_bytes()).unwrap();
        drop_stop_words(&mut counts);
        assert_eq!(counts, Counts::read("2 whale\n".as_bytes()).unwrap());
    }

    #[test]
    fn the_list_is_sorted_as_the_search_in_it_needs() {
        assert!(STOP_WORDS.is_sorted());
    }
}
