//! The words in braces of a command and its environment, and the variables every process finds.
//!
//! Exactly `{in} {out} {outdir} {name} {stem} {ext} {index} {attempt} {job} {shard} {shards} {data} {manifest}` are
//! replaced; anything else in braces stays as it is, and so does a word that means nothing here (`{shard}` in a job).
//! What was put in is not looked at again.
//!
//! Which words a command uses also decides how bytes reach it: without `{in}` its input is standard input, without
//! `{out}` or `{outdir}` its standard output is its output. An argument that names the variable with the same fact
//! (`$LONGSHORE_INPUT`, or `os.environ["LONGSHORE_OUTPUT"]` in a script given as an argument) counts as using the word.
//! A program that reads such a variable without its name in the command does not; it then also finds its input on
//! standard input, and must be given `{outdir}` somewhere, in `env` for example.

/// A word that is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    In,
    Out,
    Outdir,
    Name,
    Stem,
    Ext,
    Index,
    Attempt,
    Job,
    Shard,
    Shards,
    Data,
    Manifest,
}

const WORDS: [(&str, Word); 13] = [
    ("{in}", Word::In),
    ("{out}", Word::Out),
    ("{outdir}", Word::Outdir),
    ("{name}", Word::Name),
    ("{stem}", Word::Stem),
    ("{ext}", Word::Ext),
    ("{index}", Word::Index),
    ("{attempt}", Word::Attempt),
    ("{job}", Word::Job),
    ("{shard}", Word::Shard),
    ("{shards}", Word::Shards),
    ("{data}", Word::Data),
    ("{manifest}", Word::Manifest),
];

/// Variables whose name in an argument counts as using a word.
const VARIABLES: [(&str, Word); 5] = [
    ("LONGSHORE_INPUT", Word::In),
    ("WORK_ITEM_FILE", Word::In),
    ("LONGSHORE_OUTPUT", Word::Out),
    ("LONGSHORE_OUTDIR", Word::Outdir),
    ("LONGSHORE_MANIFEST", Word::Manifest),
];

/// What the words stand for, for one run. Paths are as the inside sees them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Facts<'a> {
    /// The input: a file, or for many parts the directory with one file each.
    pub input: &'a str,
    /// The directory to leave outputs in.
    pub outdir: &'a str,
    /// The input's name, without a directory.
    pub name: &'a str,
    /// The item's number.
    pub index: u64,
    /// Which try, from 1.
    pub attempt: u32,
    /// The job's or service's name.
    pub job: &'a str,
    /// The shard, for a leaf.
    pub shard: Option<u32>,
    /// How many shards there are, for a leaf or merge.
    pub shards: Option<u32>,
    /// The shard's data.
    pub data: Option<&'a str>,
    /// The file that describes the parts.
    pub manifest: Option<&'a str>,
}

/// Which ways to its bytes a command uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Uses {
    /// `{in}`.
    pub input: bool,
    /// `{out}`.
    pub output: bool,
    /// `{outdir}`.
    pub outdir: bool,
    /// `{manifest}`.
    pub manifest: bool,
}

/// A command and environment, read once and filled in for each run.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    argv: Vec<Text>,
    /// Only the variables with something to replace.
    env: Vec<(String, Text)>,
    uses: Uses,
}

#[derive(Debug, Clone, Default)]
struct Text(Vec<Piece>);

#[derive(Debug, Clone)]
enum Piece {
    Plain(String),
    Word(Word),
}

impl Template {
    /// Reads a command line and an environment.
    pub(crate) fn new<'a>(argv: &[String], env: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut uses = Uses::default();
        let mut read = |value: &str| {
            let text = Text::read(value);
            text.words().for_each(|word| uses.note(word));
            text
        };
        let env = env
            .into_iter()
            .map(|(name, value)| (name.to_owned(), read(value)))
            .filter(|(_, text)| text.words().next().is_some())
            .collect();
        let texts = argv.iter().map(|argument| read(argument)).collect();
        for (variable, word) in VARIABLES {
            if argv.iter().any(|argument| names(argument, variable)) {
                uses.note(word);
            }
        }
        Self { argv: texts, env, uses }
    }

    /// What the command uses.
    pub(crate) fn uses(&self) -> Uses {
        self.uses
    }

    /// The command line of one run.
    pub(crate) fn argv(&self, facts: &Facts<'_>) -> Vec<String> {
        self.argv.iter().map(|text| text.fill(facts)).collect()
    }

    /// The environment of one run, to be laid over the container's own: its variables with words in them, and ours.
    pub(crate) fn env(&self, facts: &Facts<'_>) -> Vec<(String, String)> {
        let own = self.env.iter().map(|(name, text)| (name.clone(), text.fill(facts)));
        own.chain(variables(facts)).collect()
    }
}

impl Uses {
    fn note(&mut self, word: Word) {
        match word {
            Word::In => self.input = true,
            Word::Out => self.output = true,
            Word::Outdir => self.outdir = true,
            Word::Manifest => self.manifest = true,
            _ => {}
        }
    }
}

impl Text {
    fn read(value: &str) -> Self {
        let mut pieces = Vec::new();
        let (mut rest, mut from) = (value, 0);
        while let Some(brace) = rest[from..].find('{').map(|at| from + at) {
            let word = WORDS.iter().find(|(word, _)| rest[brace..].starts_with(word));
            let Some((word, meaning)) = word else {
                from = brace + 1;
                continue;
            };
            if brace > 0 {
                pieces.push(Piece::Plain(rest[..brace].to_owned()));
            }
            pieces.push(Piece::Word(*meaning));
            (rest, from) = (&rest[brace + word.len()..], 0);
        }
        if !rest.is_empty() {
            pieces.push(Piece::Plain(rest.to_owned()));
        }
        Self(pieces)
    }

    fn words(&self) -> impl Iterator<Item = Word> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Word(word) => Some(*word),
            Piece::Plain(_) => None,
        })
    }

    fn fill(&self, facts: &Facts<'_>) -> String {
        let mut filled = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Plain(text) => filled.push_str(text),
                Piece::Word(word) => word.fill(facts, &mut filled),
            }
        }
        filled
    }
}

impl Word {
    fn fill(self, facts: &Facts<'_>, text: &mut String) {
        use std::fmt::Write as _;
        // Writing to a String does not fail.
        let _ = match self {
            Self::In => text.write_str(facts.input),
            Self::Out => write!(text, "{}/{}", facts.outdir, facts.name),
            Self::Outdir => text.write_str(facts.outdir),
            Self::Name => text.write_str(facts.name),
            Self::Stem => text.write_str(split_extension(facts.name).0),
            Self::Ext => text.write_str(split_extension(facts.name).1),
            Self::Index => write!(text, "{}", facts.index),
            Self::Attempt => write!(text, "{}", facts.attempt),
            Self::Job => text.write_str(facts.job),
            Self::Shard => known(text, facts.shard, "{shard}"),
            Self::Shards => known(text, facts.shards, "{shards}"),
            Self::Data => known(text, facts.data, "{data}"),
            Self::Manifest => known(text, facts.manifest, "{manifest}"),
        };
    }
}

fn known(text: &mut String, fact: Option<impl std::fmt::Display>, word: &str) -> std::fmt::Result {
    use std::fmt::Write as _;
    match fact {
        Some(fact) => write!(text, "{fact}"),
        None => text.write_str(word),
    }
}

/// The variables every run finds.
fn variables(facts: &Facts<'_>) -> impl Iterator<Item = (String, String)> {
    let optional = [
        ("LONGSHORE_SHARD", facts.shard.map(|shard| shard.to_string())),
        ("LONGSHORE_SHARDS", facts.shards.map(|shards| shards.to_string())),
        ("LONGSHORE_DATA", facts.data.map(str::to_owned)),
        ("LONGSHORE_MANIFEST", facts.manifest.map(str::to_owned)),
    ];
    [
        ("LONGSHORE_INPUT", facts.input.to_owned()),
        ("WORK_ITEM_FILE", facts.input.to_owned()),
        ("LONGSHORE_OUTPUT", format!("{}/{}", facts.outdir, facts.name)),
        ("LONGSHORE_OUTDIR", facts.outdir.to_owned()),
        ("LONGSHORE_NAME", facts.name.to_owned()),
        ("LONGSHORE_INDEX", facts.index.to_string()),
        ("LONGSHORE_ATTEMPT", facts.attempt.to_string()),
        ("LONGSHORE_JOB", facts.job.to_owned()),
    ]
    .into_iter()
    .chain(optional.into_iter().filter_map(|(name, value)| value.map(|value| (name, value))))
    .map(|(name, value)| (name.to_owned(), value))
}

/// Whether `argument` contains `variable` as a whole word.
fn names(argument: &str, variable: &str) -> bool {
    let of_a_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    argument
        .match_indices(variable)
        .any(|(at, _)| !argument[..at].ends_with(of_a_name) && !argument[at + variable.len()..].starts_with(of_a_name))
}

/// `a.tar.gz` is `a.tar` and `gz`; a leading dot begins a name, not an extension.
fn split_extension(name: &str) -> (&str, &str) {
    match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => (stem, extension),
        _ => (name, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: Facts<'_> = Facts {
        input: "/in/0/a.tar.gz",
        outdir: "/out/7",
        name: "a.tar.gz",
        index: 3,
        attempt: 2,
        job: "pack",
        shard: None,
        shards: None,
        data: None,
        manifest: None,
    };

    fn argv(arguments: &[&str]) -> Vec<String> {
        arguments.iter().map(|argument| (*argument).to_owned()).collect()
    }

    fn filled(argument: &str) -> String {
        Template::new(&argv(&[argument]), []).argv(&FACTS).remove(0)
    }

    fn uses(arguments: &[&str]) -> Uses {
        Template::new(&argv(arguments), []).uses()
    }

    #[test]
    fn every_word_is_replaced() {
        let words = "{in}|{out}|{outdir}|{name}|{stem}|{ext}|{index}|{attempt}|{job}";
        assert_eq!(filled(words), "/in/0/a.tar.gz|/out/7/a.tar.gz|/out/7|a.tar.gz|a.tar|gz|3|2|pack");
    }

    #[test]
    fn the_words_of_leaves_are_replaced_where_they_mean_something() {
        let words = "{shard}/{shards} {data} {manifest}";
        assert_eq!(filled(words), words);
        let facts = Facts { shard: Some(1), shards: Some(4), data: Some("/data"), manifest: Some("/m"), ..FACTS };
        assert_eq!(Template::new(&argv(&[words]), []).argv(&facts), ["1/4 /data /m"]);
    }

    #[test]
    fn anything_else_in_braces_stays() {
        for same in
            ["{}", "{ in }", "{IN}", "{inn}", "${i}", "{n[$2]+=$1} END {for (w in n) print n[w], w}", "{", "}{", "é{ü}"]
        {
            assert_eq!(filled(same), same);
        }
        assert_eq!(filled("{{in}}{"), "{/in/0/a.tar.gz}{");
    }

    #[test]
    fn what_was_put_in_is_not_replaced_again() {
        let facts = Facts { name: "{in}{out", ..FACTS };
        assert_eq!(Template::new(&argv(&["{name}}"]), []).argv(&facts), ["{in}{out}"]);
    }

    #[test]
    fn names_split_at_their_last_dot() {
        assert_eq!(split_extension("a.txt"), ("a", "txt"));
        assert_eq!(split_extension(".bashrc"), (".bashrc", ""));
        assert_eq!(split_extension("plain"), ("plain", ""));
        assert_eq!(split_extension("dot."), ("dot", ""));
    }

    #[test]
    fn words_and_named_variables_say_how_bytes_travel() {
        assert_eq!(uses(&["wc", "-l"]), Uses::default());
        assert!(uses(&["sh", "-c", "wc -l < {in}"]).input);
        assert!(uses(&["sh", "-c", "wc -l < \"${LONGSHORE_INPUT}\""]).input);
        assert!(uses(&["cat", "$WORK_ITEM_FILE"]).input);
        assert!(uses(&["python", "-c", "open(os.environ['LONGSHORE_OUTPUT'])"]).output);
        assert!(uses(&["sh", "-c", "cd $LONGSHORE_OUTDIR"]).outdir);
        assert_eq!(uses(&["echo", "$MY_LONGSHORE_INPUT", "$LONGSHORE_OUTPUTS"]), Uses::default());
    }

    #[test]
    fn words_in_the_environment_count_and_plain_variables_are_left_to_the_container() {
        let template =
            Template::new(&argv(&["tool"]), [("TO", "{outdir}/x"), ("PLAIN", "1"), ("Q", "$LONGSHORE_INPUT")]);
        assert_eq!(template.uses(), Uses { outdir: true, ..Uses::default() });
        let env = template.env(&FACTS);
        assert_eq!(env[0], ("TO".into(), "/out/7/x".into()));
        assert!(!env.iter().any(|(name, _)| name == "PLAIN" || name == "Q"));
        for (name, value) in
            [("LONGSHORE_INPUT", "/in/0/a.tar.gz"), ("LONGSHORE_OUTPUT", "/out/7/a.tar.gz"), ("LONGSHORE_ATTEMPT", "2")]
        {
            assert!(env.contains(&(name.into(), value.into())), "{name}");
        }
        assert!(!env.iter().any(|(name, _)| name == "LONGSHORE_MANIFEST"));
    }
}
