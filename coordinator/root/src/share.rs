//! How much of its shard a part covers that says itself that it is not whole.

/// Largest number of an amount: what every language has exactly.
const MOST: u64 = 1 << 53;

/// Most characters kept of what a part says is missing in it.
const WORDS: usize = 512;

/// So much of something, in whatever its leaf counts (documents, files, its own shards). Never all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// So much is in the part: less than `of`.
    pub answered: u64,
    /// Of so much; at least 1.
    pub of: u64,
    /// What is missing, in the leaf's words, in one line; may be empty.
    pub missing: String,
}

impl Share {
    /// What an answer says of itself: `partial` by its kind (206 over HTTP), `amount` as `answered/of`, and what is missing.
    /// `None` when it is whole.
    ///
    /// Where the two contradict each other, or the amount is none, the answer is not whole, and nobody knows how much of it
    /// there is: it counts as nothing.
    #[must_use]
    pub fn said(partial: bool, amount: Option<&str>, missing: &str) -> Option<Self> {
        let (answered, of) = match amount.map(read) {
            Some(Some((answered, of))) if answered < of => (answered, of),
            Some(Some(_)) | None if !partial => return None,
            _ => (0, 1),
        };
        let missing = missing.chars().filter(|c| !c.is_control()).take(WORDS).collect();
        Some(Self { answered, of, missing })
    }

    /// The part of 1 that is there.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "amounts have at most 53 bits")]
    pub fn fraction(&self) -> f64 {
        self.answered as f64 / self.of as f64
    }

    /// For people.
    pub(crate) fn why(&self) -> String {
        let amount = format!("answered in part ({}/{})", self.answered, self.of);
        if self.missing.is_empty() { amount } else { format!("{amount}: {}", self.missing) }
    }
}

/// `answered/of`.
fn read(amount: &str) -> Option<(u64, u64)> {
    let (answered, of) = amount.trim().split_once('/')?;
    let (answered, of) = (answered.parse().ok()?, of.parse().ok()?);
    (answered <= of && of > 0 && of <= MOST).then_some((answered, of))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(partial: bool, amount: Option<&str>) -> Option<(u64, u64)> {
        Share::said(partial, amount, "").map(|share| (share.answered, share.of))
    }

    #[test]
    fn an_answer_is_whole_only_if_nothing_it_says_is_against_it() {
        assert_eq!([said(false, None), said(false, Some("4/4"))], [None, None]);
        assert_eq!([said(true, Some("1/2")), said(false, Some("1/2"))], [Some((1, 2)); 2]);
        for nonsense in ["", "1", "half", "2/1", "0/0", "-1/2", "1/9007199254740993", "1/2/3"] {
            assert_eq!([said(true, Some(nonsense)), said(false, Some(nonsense))], [Some((0, 1)); 2], "{nonsense}");
        }
        assert_eq!([said(true, None), said(true, Some("4/4"))], [Some((0, 1)); 2]);
    }

    #[test]
    fn its_words_are_one_short_line() {
        let share = Share::said(true, Some("1/2"), &format!("shard 1:\r\n{}", "x".repeat(10_000))).unwrap();
        assert!(share.missing.starts_with("shard 1:x") && share.missing.len() == WORDS, "{}", share.missing);
    }
}
