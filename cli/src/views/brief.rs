//! Ids and names as tables have room for them.

/// A job's id as tables show it: its end, which is random where its beginning is a time. Enough wherever a job is named.
pub fn short(job_id: &str) -> &str {
    job_id.get(job_id.len().saturating_sub(SHORT)..).unwrap_or(job_id)
}

/// Characters of an id in tables.
const SHORT: usize = 8;

/// The beginning of a name where a table has no room for all of it.
pub fn cut(name: &str, chars: usize) -> String {
    match name.char_indices().nth(chars) {
        None => name.to_owned(),
        Some(_) => name.chars().take(chars - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_shown_by_their_ends_and_names_by_their_beginnings() {
        assert_eq!((short("0198c2ab-1234-7000-8000-0123456789ab"), short("7")), ("456789ab", "7"));
        assert_eq!((cut("äöü", 3), cut("äöüx", 3)), ("äöü".to_owned(), "äö…".to_owned()));
    }
}
