//! The last things that happened, for whoever has to understand a failing seed.

use std::collections::VecDeque;

const LINES: usize = 40;

/// The last events, or nothing when nobody will read them: a seed is run again with a trail once it has failed.
#[derive(Debug, Default)]
pub struct Trail(Option<VecDeque<String>>);

impl Trail {
    /// A trail that is kept.
    #[must_use]
    pub fn kept() -> Self {
        Self(Some(VecDeque::new()))
    }

    /// Adds a line, if anybody reads.
    pub fn say(&mut self, now_ms: u64, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.0 {
            if lines.len() == LINES {
                lines.pop_front();
            }
            // Ids and details are mostly zeros.
            let line = line().replace("00000000", "").replace("0, 0, 0, 0, ", "");
            lines.push_back(format!("{now_ms:>7} ms  {line}"));
        }
    }

    /// The lines, oldest first.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flatten().map(String::as_str)
    }
}
