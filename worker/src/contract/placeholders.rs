//! The words in braces of a command and its environment, and the variables every process finds.
//!
//! Exactly `{in} {out} {outdir} {name} {stem} {ext} {index} {attempt} {job} {shard} {shards} {data} {files} {secrets} {manifest}` are
//! replaced; anything else in braces stays as it is, and so does a word that means nothing here (`{shard}` in a job, `{in}`
//! for a server, which is started once for many requests). What was put in is not looked at again.
//!
//! Which words a command uses also decides how bytes reach it: without `{in}` its input is standard input, without
//! `{out}` or `{outdir}` its standard output is its output. An argument that names the variable with the same fact
//! (`$LONGSHORE_INPUT`, or `os.environ["LONGSHORE_OUTPUT"]` in a script given as an argument) counts as using the word.
//! A program that reads such a variable without its name in the command does not; it then also finds its input on
//! standard input, and must be given `{outdir}` somewhere, in `env` for example.

use longshore_contract::{Word, env};

use super::{arguments, fields::Fields};

/// Variables whose name in an argument counts as using a word.
const VARIABLES: [(&str, Word); 5] = [
    (env::INPUT, Word::In),
    (env::WORK_ITEM_FILE, Word::In),
    (env::OUTPUT, Word::Out),
    (env::OUTDIR, Word::Outdir),
    (env::MANIFEST, Word::Manifest),
];

/// What stays the same for everything that runs in a container.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Fixed<'a> {
    /// The job's or service's name.
    pub job: &'a str,
    /// The shard, for a leaf.
    pub shard: Option<u32>,
    /// How many shards there are, for a leaf or merge.
    pub shards: Option<u32>,
    /// The shard's data, as the inside sees it.
    pub data: Option<&'a str>,
    /// What was sent along with the container, as the inside sees it.
    pub files: Option<&'a str>,
    /// The directory of secrets, as the inside sees it, where any is given as a file.
    pub secrets: Option<&'a str>,
}

/// What one run or request is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Item<'a> {
    /// The input's name, without a directory.
    pub name: &'a str,
    /// The item's number.
    pub index: u64,
    /// Which try, from 1.
    pub attempt: u32,
}

/// Where one run finds its bytes and leaves others, as the inside sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Files<'a> {
    /// The input: a file, or for many parts the directory with one file each; nothing where they come as standard input alone.
    pub input: Option<&'a str>,
    /// The directory to leave outputs in.
    pub outdir: &'a str,
    /// The file that describes the parts.
    pub manifest: Option<&'a str>,
    /// What fields of the item stand for.
    pub fields: Option<&'a Fields>,
}

/// What the words stand for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    /// For everything in the container.
    pub fixed: Fixed<'a>,
    /// For one run; none for a server, which is started for many requests. Words of a run stay as they are then.
    pub run: Option<(Item<'a>, Files<'a>)>,
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
    /// Whether a shell would expand a pattern over the parts in it.
    expands_parts: bool,
}

#[derive(Debug, Clone, Default)]
struct Text(Vec<Piece>);

#[derive(Debug, Clone)]
enum Piece {
    Plain(String),
    Word(Word),
    Field(String),
}

impl Template {
    /// Reads a command line and an environment.
    pub(crate) fn new<'a>(argv: &[String], env: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self::with_fields(argv, env, &[])
    }

    /// The same, with words for these fields of items.
    pub(crate) fn with_fields<'a>(
        argv: &[String],
        env: impl IntoIterator<Item = (&'a str, &'a str)>,
        fields: &[String],
    ) -> Self {
        let mut uses = Uses::default();
        let mut read = |value: &str| {
            let text = Text::read(value, fields);
            text.words().for_each(|word| uses.note(word));
            text
        };
        let env = env
            .into_iter()
            .map(|(name, value)| (name.to_owned(), read(value)))
            .filter(|(_, text)| !text.is_plain())
            .collect();
        let texts: Vec<_> = argv.iter().map(|argument| read(argument)).collect();
        for (variable, word) in VARIABLES {
            if argv.iter().any(|argument| names(argument, variable)) {
                uses.note(word);
            }
        }
        let expands_parts = texts.iter().any(Text::expands_parts);
        Self { argv: texts, env, uses, expands_parts }
    }

    /// What the command uses.
    pub(crate) fn uses(&self) -> Uses {
        self.uses
    }

    /// Whether a shell would expand a pattern over the parts (`{in}/*`) into arguments.
    pub(crate) fn expands_parts(&self) -> bool {
        self.expands_parts
    }

    /// Whether there is nothing to run.
    pub(crate) fn is_empty(&self) -> bool {
        self.argv.is_empty()
    }

    /// The command line of a run or server.
    pub(crate) fn argv(&self, facts: &Facts<'_>) -> Vec<String> {
        self.argv.iter().map(|text| text.fill(facts)).collect()
    }

    /// The environment of a run or server, to be laid over the container's own: its variables with words in them, and ours.
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
    fn read(value: &str, fields: &[String]) -> Self {
        let mut pieces = Vec::new();
        let (mut rest, mut from) = (value, 0);
        while let Some(brace) = rest[from..].find('{').map(|at| from + at) {
            let word = Word::ALL.into_iter().find(|word| rest[brace..].starts_with(word.text()));
            let word = word.map(|word| (Piece::Word(word), word.text().len())).or_else(|| {
                let (word, _) = rest[brace + 1..].split_once('}')?;
                let field = fields.iter().find(|field| word.strip_prefix('.').unwrap_or(word) == **field)?;
                Some((Piece::Field(field.clone()), word.len() + 2))
            });
            let Some((piece, bytes)) = word else {
                from = brace + 1;
                continue;
            };
            if brace > 0 {
                pieces.push(Piece::Plain(rest[..brace].to_owned()));
            }
            pieces.push(piece);
            (rest, from) = (&rest[brace + bytes..], 0);
        }
        if !rest.is_empty() {
            pieces.push(Piece::Plain(rest.to_owned()));
        }
        Self(pieces)
    }

    fn words(&self) -> impl Iterator<Item = Word> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Word(word) => Some(*word),
            Piece::Plain(_) | Piece::Field(_) => None,
        })
    }

    /// Whether there is nothing to replace in it.
    fn is_plain(&self) -> bool {
        self.0.iter().all(|piece| matches!(piece, Piece::Plain(_)))
    }

    fn expands_parts(&self) -> bool {
        // No text of a command has it.
        const INPUT: char = '\0';
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Plain(plain) => text.push_str(plain),
                Piece::Word(Word::In) => text.push(INPUT),
                Piece::Word(_) | Piece::Field(_) => text.push('_'),
            }
        }
        for name in [env::INPUT, env::WORK_ITEM_FILE] {
            for variable in [format!("${{{name}}}"), format!("${name}")] {
                text = text.replace(&variable, &INPUT.to_string());
            }
        }
        arguments::expands(&text, INPUT)
    }

    fn fill(&self, facts: &Facts<'_>) -> String {
        let mut filled = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Plain(text) => filled.push_str(text),
                Piece::Word(word) => fill(*word, facts, &mut filled),
                Piece::Field(name) => {
                    let fields = facts.run.and_then(|(_, files)| files.fields);
                    filled.push_str(fields.and_then(|fields| fields.get(name)).map_or("", String::as_str));
                }
            }
        }
        filled
    }
}

fn fill(word: Word, facts: &Facts<'_>, text: &mut String) {
    use std::fmt::Write as _;
    let Facts { fixed, run } = facts;
    // Writing to a String does not fail.
    let _ = match (word, run) {
        (Word::Job, _) => text.write_str(fixed.job),
        (Word::Shard, _) => known(text, fixed.shard, word),
        (Word::Shards, _) => known(text, fixed.shards, word),
        (Word::Data, _) => known(text, fixed.data, word),
        (Word::Files, _) => known(text, fixed.files, word),
        (Word::Secrets, _) => known(text, fixed.secrets, word),
        (Word::In, Some((_, files))) => known(text, files.input, word),
        (Word::Out, Some((item, files))) => write!(text, "{}/{}", files.outdir, item.name),
        (Word::Outdir, Some((_, files))) => text.write_str(files.outdir),
        (Word::Manifest, Some((_, files))) => known(text, files.manifest, word),
        (Word::Name, Some((item, _))) => text.write_str(item.name),
        (Word::Stem, Some((item, _))) => text.write_str(split_extension(item.name).0),
        (Word::Ext, Some((item, _))) => text.write_str(split_extension(item.name).1),
        (Word::Index, Some((item, _))) => write!(text, "{}", item.index),
        (Word::Attempt, Some((item, _))) => write!(text, "{}", item.attempt),
        (_, None) => text.write_str(word.text()),
    };
}

/// A word that means nothing here stays as it is.
fn known(text: &mut String, fact: Option<impl std::fmt::Display>, word: Word) -> std::fmt::Result {
    use std::fmt::Write as _;
    match fact {
        Some(fact) => write!(text, "{fact}"),
        None => text.write_str(word.text()),
    }
}

/// The variables that a run or server finds: those that mean something to it.
fn variables(facts: &Facts<'_>) -> impl Iterator<Item = (String, String)> {
    let Facts { fixed, run } = facts;
    let of_run = run.map(|(item, files)| {
        [
            (env::OUTPUT, format!("{}/{}", files.outdir, item.name)),
            (env::OUTDIR, files.outdir.to_owned()),
            (env::NAME, item.name.to_owned()),
            (env::INDEX, item.index.to_string()),
            (env::ATTEMPT, item.attempt.to_string()),
        ]
    });
    let manifest = run.and_then(|(_, files)| files.manifest);
    let input = run.and_then(|(_, files)| files.input);
    let optional = [
        (env::INPUT, input.map(str::to_owned)),
        (env::WORK_ITEM_FILE, input.map(str::to_owned)),
        (env::SHARD, fixed.shard.map(|shard| shard.to_string())),
        (env::SHARDS, fixed.shards.map(|shards| shards.to_string())),
        (env::DATA, fixed.data.map(str::to_owned)),
        (env::FILES, fixed.files.map(str::to_owned)),
        (env::SECRETS, fixed.secrets.map(str::to_owned)),
        (env::MANIFEST, manifest.map(str::to_owned)),
    ];
    let known = optional.into_iter().filter_map(|(name, value)| value.map(|value| (name, value)));
    let all = of_run.into_iter().flatten().chain([(env::JOB, fixed.job.to_owned())]).chain(known);
    all.map(|(name, value)| (name.to_owned(), value))
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

    const ITEM: Item<'_> = Item { name: "a.tar.gz", index: 3, attempt: 2 };

    const FILES: Files<'_> = Files { input: Some("/in/0/a.tar.gz"), outdir: "/out/7", manifest: None, fields: None };

    const PACK: Fixed<'_> = Fixed { job: "pack", shard: None, shards: None, data: None, files: None, secrets: None };

    const FACTS: Facts<'_> = Facts { fixed: PACK, run: Some((ITEM, FILES)) };

    const LEAF: Fixed<'_> = Fixed {
        job: "find",
        shard: Some(1),
        shards: Some(4),
        data: Some("/data"),
        files: Some("/files"),
        secrets: Some("/secrets"),
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
        let words = "{shard}/{shards} {data} {files} {manifest} {secrets}";
        assert_eq!(filled(words), words);
        let facts = Facts { fixed: LEAF, run: Some((ITEM, Files { manifest: Some("/m"), ..FILES })) };
        assert_eq!(Template::new(&argv(&[words]), []).argv(&facts), ["1/4 /data /files /m /secrets"]);
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
        let facts = Facts { run: Some((Item { name: "{in}{out", ..ITEM }, FILES)), ..FACTS };
        assert_eq!(Template::new(&argv(&["{name}}"]), []).argv(&facts), ["{in}{out}"]);
    }

    #[test]
    fn a_server_is_told_what_stays_the_same_and_no_more() {
        let server = Facts { fixed: LEAF, run: None };
        let template = Template::new(
            &argv(&["{job} {shard}/{shards} {data} {files} {secrets}", "{in} {out} {index} {manifest}"]),
            [],
        );
        assert_eq!(template.argv(&server), ["find 1/4 /data /files /secrets", "{in} {out} {index} {manifest}"]);
        let names: Vec<_> = template.env(&server).into_iter().map(|(name, _)| name).collect();
        let wanted = ["JOB", "SHARD", "SHARDS", "DATA", "FILES", "SECRETS"].map(|name| format!("LONGSHORE_{name}"));
        assert_eq!(names, wanted);
    }

    #[test]
    fn names_split_at_their_last_dot() {
        assert_eq!(split_extension("a.txt"), ("a", "txt"));
        assert_eq!(split_extension(".bashrc"), (".bashrc", ""));
        assert_eq!(split_extension("plain"), ("plain", ""));
        assert_eq!(split_extension("dot."), ("dot", ""));
    }

    #[test]
    fn fields_of_the_item_are_words_too_and_what_they_stand_for_is_not_looked_at_again() {
        let names = ["url".to_owned(), "name".to_owned()];
        let command = argv(&["get", "{url}", "{.name} {name} {other} {.url}"]);
        let template = Template::with_fields(&command, [("TO", "{url}"), ("PLAIN", "{x}")], &names);
        let fields = Fields::from([("url".to_owned(), "{in} $(x)".to_owned()), ("name".to_owned(), "n".to_owned())]);
        let facts = Facts { run: Some((ITEM, Files { fields: Some(&fields), ..FILES })), ..FACTS };
        assert_eq!(template.argv(&facts), ["get", "{in} $(x)", "n a.tar.gz {other} {in} $(x)"]);
        assert_eq!(template.env(&facts)[0], ("TO".to_owned(), "{in} $(x)".to_owned()));
        assert!(!template.uses().input, "what a field stands for is no word");
    }

    #[test]
    fn a_pattern_over_the_parts_is_seen_by_word_and_by_variable() {
        let expands = |script: &str| Template::new(&argv(&["sh", "-c", script]), []).expands_parts();
        for script in ["cat {in}/*", "cat \"$LONGSHORE_INPUT\"/*", "cat ${WORK_ITEM_FILE}/*.txt"] {
            assert!(expands(script), "{script}");
        }
        for script in ["cat {in}", "cat {outdir}/*", "cat $LONGSHORE_INPUTS/*", "for x in {in}/*; do wc $x; done"] {
            assert!(!expands(script), "{script}");
        }
    }

    #[test]
    fn without_a_place_for_the_input_nothing_names_one() {
        let facts = Facts { run: Some((ITEM, Files { input: None, ..FILES })), ..FACTS };
        let template = Template::new(&argv(&["{in}"]), []);
        assert_eq!(template.argv(&facts), ["{in}"]);
        assert!(!template.env(&facts).iter().any(|(name, _)| name == "LONGSHORE_INPUT" || name == "WORK_ITEM_FILE"));
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
