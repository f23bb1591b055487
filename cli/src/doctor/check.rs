//! One thing that was looked at, and how it came out.

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// Works, but not as well as it could.
    Doubtful,
    /// Does not work.
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Clone)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// How it came out.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What to do about it; empty when nothing.
    pub advice: String,
}

/// As it should be.
pub fn good(name: &'static str, found: String) -> Check {
    Check { name, verdict: Verdict::Good, found, advice: String::new() }
}

/// Works, but not as well as it could.
pub fn doubtful(name: &'static str, found: &str, advice: &str) -> Check {
    Check { name, verdict: Verdict::Doubtful, found: found.to_owned(), advice: advice.to_owned() }
}

/// Does not work.
pub fn bad(name: &'static str, found: String, advice: &str) -> Check {
    Check { name, verdict: Verdict::Bad, found, advice: advice.to_owned() }
}
