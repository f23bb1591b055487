//! The words in braces that are replaced in a command and its environment.

/// A word that is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// The input: a file, or the directory of all parts.
    In,
    /// Where to leave the output: a file.
    Out,
    /// The directory in which every file is an output.
    Outdir,
    /// The item's name.
    Name,
    /// Its name without the extension.
    Stem,
    /// Its extension.
    Ext,
    /// The item's number in its stage, from 0; for a leaf its shard.
    Index,
    /// Which try this is, from 1.
    Attempt,
    /// The job's or service's name.
    Job,
    /// The shard of a leaf.
    Shard,
    /// How many shards a service has.
    Shards,
    /// The directory with a shard's data.
    Data,
    /// The file that describes the parts.
    Manifest,
    /// The directory with the files that were sent along.
    Files,
    /// The directory with the secrets that are given as files.
    Secrets,
}

impl Word {
    /// All of them; anything else in braces stays as it is.
    pub const ALL: [Self; 15] = [
        Self::In,
        Self::Out,
        Self::Outdir,
        Self::Name,
        Self::Stem,
        Self::Ext,
        Self::Index,
        Self::Attempt,
        Self::Job,
        Self::Shard,
        Self::Shards,
        Self::Data,
        Self::Manifest,
        Self::Files,
        Self::Secrets,
    ];

    /// The word as it is written.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::In => "{in}",
            Self::Out => "{out}",
            Self::Outdir => "{outdir}",
            Self::Name => "{name}",
            Self::Stem => "{stem}",
            Self::Ext => "{ext}",
            Self::Index => "{index}",
            Self::Attempt => "{attempt}",
            Self::Job => "{job}",
            Self::Shard => "{shard}",
            Self::Shards => "{shards}",
            Self::Data => "{data}",
            Self::Manifest => "{manifest}",
            Self::Files => "{files}",
            Self::Secrets => "{secrets}",
        }
    }

    /// Where a server finds what the word stands for, when that is something else for every request: a server is started
    /// once for many, so its command cannot say it. `None` for words that stay the same for as long as a server is up.
    #[must_use]
    pub const fn of_a_request(self) -> Option<&'static str> {
        match self {
            Self::In => Some("the body of each request"),
            Self::Out | Self::Outdir => Some("the body of its answer"),
            Self::Name | Self::Stem | Self::Ext => Some("the header longshore-name"),
            Self::Index => Some("the header longshore-index"),
            Self::Attempt => Some("the header longshore-attempt"),
            Self::Manifest => Some("the headers of each part"),
            Self::Job | Self::Shard | Self::Shards | Self::Data | Self::Files | Self::Secrets => None,
        }
    }

    /// The first word in `text` that a server cannot be told in its command.
    #[must_use]
    pub fn first_of_a_request(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|word| word.of_a_request().is_some() && text.contains(word.text()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header;

    #[test]
    fn no_word_is_the_beginning_of_another() {
        for word in Word::ALL {
            let others = Word::ALL.into_iter().filter(|other| *other != word);
            assert!(others.clone().all(|other| !other.text().starts_with(word.text())), "{word:?}");
        }
    }

    #[test]
    fn headers_are_named_as_they_are() {
        for (word, header) in
            [(Word::Name, header::NAME), (Word::Index, header::INDEX), (Word::Attempt, header::ATTEMPT)]
        {
            assert_eq!(word.of_a_request(), Some(format!("the header {header}").as_str()));
        }
    }

    #[test]
    fn what_a_server_cannot_be_told_at_its_start_is_found() {
        assert_eq!(Word::first_of_a_request("serve --of {job} {shard}/{shards} {data} {files} {inner} {"), None);
        assert_eq!(Word::first_of_a_request("serve {{in}"), Some(Word::In));
        assert_eq!(Word::first_of_a_request("{data}{manifest}"), Some(Word::Manifest));
    }
}
