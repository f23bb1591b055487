//! Resources by name, as people count them.

use std::str::FromStr;

/// So many of a resource: `gpu=2`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Its name.
    pub name: String,
    /// How many; at least 1.
    pub count: u64,
}

/// A text that is no resource.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is NAME=N, such as gpu=2, with at least 1")]
pub struct NoResource;

impl FromStr for Resource {
    type Err = NoResource;

    fn from_str(text: &str) -> Result<Self, NoResource> {
        let (name, count) = text.split_once('=').ok_or(NoResource)?;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        let count = count.parse().ok().filter(|count| *count > 0).ok_or(NoResource)?;
        let is_name = (1..=63).contains(&name.len()) && name.chars().all(is_plain);
        if is_name { Ok(Self { name: name.to_owned(), count }) } else { Err(NoResource) }
    }
}

/// A label of a worker: `disk=ssd`, or `gpu` alone.
///
/// # Errors
/// When it is none.
pub fn label(text: &str) -> Result<(String, String), NoLabel> {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    let is_plain =
        |word: &str| word.len() <= 63 && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
    let is_one = !name.is_empty() && is_plain(name) && is_plain(value);
    if is_one { Ok((name.to_owned(), value.to_owned())) } else { Err(NoLabel) }
}

/// A text that is no label.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is NAME or NAME=VALUE, of letters, digits, '-', '_', '.' and '/', at most 63 each")]
pub struct NoLabel;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_and_labels_are_read_as_they_are_written() {
        assert_eq!("gpu=2".parse(), Ok(Resource { name: "gpu".to_owned(), count: 2 }));
        for bad in ["", "gpu", "gpu=0", "gpu=-1", "gpu=1.5", "=2", "a b=1"] {
            assert_eq!(bad.parse::<Resource>(), Err(NoResource), "{bad}");
        }
        assert_eq!(label("disk=ssd"), Ok(("disk".to_owned(), "ssd".to_owned())));
        assert_eq!(label("gpu"), Ok(("gpu".to_owned(), String::new())));
        assert_eq!([label("=a"), label("a=b=c")], [Err(NoLabel), Err(NoLabel)]);
    }
}
