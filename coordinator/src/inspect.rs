//! A data directory looked through without changing it, and without a coordinator.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use blake3::Hash;
use bytes::Bytes;
use longshore_blobs::{Holding, Inspection, Loss, Progress};
use longshore_core::{Namespace, Record};
use longshore_store::{OpenError, Options, Reader, SledStore, Store};

use crate::{
    error::chain,
    kept::{
        directory,
        error::LoadError,
        format, inventory, records,
        references::{self, Held, HeldByAll},
        rooms,
    },
};

/// Problems of one kind that are told one by one.
const TOLD: usize = 100;

/// What was found about one part of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The part.
    pub part: &'static str,
    /// What is there.
    pub found: String,
    /// What is wrong with it, by name; nothing when it is as it should be.
    pub problems: Vec<String>,
}

impl Finding {
    fn sound(part: &'static str, found: impl Into<String>) -> Self {
        Self { part, found: found.into(), problems: Vec::new() }
    }

    fn wrong(part: &'static str, problem: impl Into<String>) -> Self {
        Self { part, found: String::new(), problems: vec![problem.into()] }
    }

    fn of(part: &'static str, found: impl Into<String>, problems: Problems) -> Self {
        Self { part, found: found.into(), problems: problems.finish() }
    }
}

/// Looks through the data directory of a coordinator: its format, its store with the checksums of all entries, its records,
/// its blobs with the digests of all bytes, and whether every blob that a record needs is there. `scratch` is an empty
/// directory for a copy of the store, which opening would change. `go_on` is asked now and then, and told how far the reading
/// of blobs is; once it says no, what was found until then is answered. Blocks.
pub fn inspect(dir: &Path, scratch: &Path, options: &Options, go_on: &mut dyn FnMut(Progress) -> bool) -> Vec<Finding> {
    let store = dir.join("store");
    if !store.exists() && !dir.join(rooms::DEFAULT).exists() {
        return vec![Finding::wrong("directory", format!("there is no coordinator's data in {}", dir.display()))];
    }
    let _closed = match SledStore::keep_closed(&store) {
        Ok(closed) => closed,
        Err(error) => return vec![Finding::wrong("coordinator", chain(&error))],
    };
    let mut findings = vec![Finding::sound("coordinator", "none runs on it")];
    match directory::look(dir, &store) {
        Ok(true) => findings.push(Finding::sound("format", format::FORMAT.to_string())),
        Ok(false) => {
            findings.push(Finding::wrong("format", format!("{} is missing", dir.join(format::FILE).display())))
        }
        Err(error) => {
            findings.push(Finding::wrong("format", chain(&error)));
            return findings;
        }
    }
    let reader = look_at_store(&store, scratch, options, &mut findings);
    let holdings = match reader.as_deref().map(inventory::load) {
        Some(Ok(holdings)) => holdings,
        Some(Err(error)) => {
            findings.push(Finding::wrong("records", chain(&error)));
            Vec::new()
        }
        None => Vec::new(),
    };
    let Some(inspected) = look_at_rooms(dir, &holdings, go_on, &mut findings) else {
        return findings;
    };
    if let Some(reader) = reader {
        findings.push(look_at_references(&*reader, &inspected));
    }
    findings
}

/// The store and its records; a reader of it if it can be read.
fn look_at_store(
    dir: &Path,
    scratch: &Path,
    options: &Options,
    findings: &mut Vec<Finding>,
) -> Option<Arc<dyn Reader>> {
    if !SledStore::is_in(dir) {
        findings.push(Finding::wrong("store", format!("the store {} is missing", dir.display())));
        return None;
    }
    let store = match SledStore::open_copy(dir, scratch, options) {
        Ok(store) => store,
        Err(error) => {
            let of_the_copy = matches!(error, OpenError::NoSpace { .. } | OpenError::Io { .. });
            findings.push(Finding::wrong(if of_the_copy { "copy of the store" } else { "store" }, chain(&error)));
            return None;
        }
    };
    findings.push(Finding::sound("store", format!("whole, with {} commits", store.commit_seq())));
    let reader = store.reader();
    match count_records(dir, &*reader) {
        Ok(found) => findings.push(Finding::sound("records", found)),
        Err(error) => findings.push(Finding::wrong("records", chain(&error))),
    }
    Some(reader)
}

fn count_records(dir: &Path, reader: &dyn Reader) -> Result<String, LoadError> {
    directory::check(dir, reader)?;
    let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
    for record in records::load(reader) {
        let kind = match record? {
            Record::Job(_) | Record::JobGone { .. } => "jobs",
            Record::Outcome(_) | Record::OutcomeGone(_) | Record::ItemsGone(_) => "outcomes",
            Record::Groups(_) | Record::Withdrawn(_) => "gathers",
            Record::Trouble(_) | Record::TroubleGone(_) => "troubles",
            Record::Image(_) => "images",
            Record::Service(_) => "services",
            Record::Worker(_) | Record::WorkerGone(_) => "workers",
            Record::Token(_) | Record::TokenGone(_) => "tokens",
            Record::Member(_) | Record::MemberGone(_) => "members",
            Record::Secret(_) => "secrets",
            Record::Tombstone(_) | Record::TombstoneGone(_) => "removed jobs",
            Record::Drain(_) | Record::DrainGone(_) => "drained workers",
        };
        *counts.entry(kind).or_default() += 1;
    }
    let parts: Vec<String> = counts.into_iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    Ok(if parts.is_empty() { "none".to_owned() } else { parts.join(", ") })
}

/// The blobs of every namespace; nothing when not all could be read.
fn look_at_rooms(
    dir: &Path,
    holdings: &[(Namespace, Holding)],
    go_on: &mut dyn FnMut(Progress) -> bool,
    findings: &mut Vec<Finding>,
) -> Option<Inspected> {
    let others = match rooms::others_in(dir, holdings) {
        Ok(others) => others,
        Err(error) => {
            findings.push(Finding::wrong("blobs", chain(&error)));
            return None;
        }
    };
    let mut all = BTreeMap::new();
    for namespace in std::iter::once(Namespace::default()).chain(others) {
        let own = holdings.iter().filter(|(whose, _)| *whose == namespace).map(|(_, holding)| *holding);
        let own: Vec<Holding> = own.collect();
        let inspection = look_at_blobs(&namespace, &rooms::place(dir, &namespace), &own, go_on, findings)?;
        all.insert(namespace, inspection);
    }
    Some(Inspected(all))
}

fn look_at_blobs(
    namespace: &Namespace,
    dir: &Path,
    holdings: &[Holding],
    go_on: &mut dyn FnMut(Progress) -> bool,
    findings: &mut Vec<Finding>,
) -> Option<Inspection> {
    let inspection = match Inspection::of(dir, holdings, go_on) {
        Ok(Some(inspection)) => inspection,
        Ok(None) => {
            findings.push(Finding::wrong("blobs", "not all were read: it was interrupted"));
            return None;
        }
        Err(error) => {
            findings.push(Finding::wrong("blobs", chain(&error)));
            return None;
        }
    };
    let mut problems = Problems::default();
    inspection.losses.iter().map(Loss::to_string).for_each(|loss| problems.add(loss));
    let Inspection { packs, files, bytes, torn_bytes, .. } = &inspection;
    let torn = if *torn_bytes == 0 {
        String::new()
    } else {
        format!("; a torn end of {torn_bytes} bytes, never acknowledged")
    };
    let whose = if namespace.is_default() { String::new() } else { format!("of namespace {namespace}: ") };
    let found = format!("{whose}{packs} packs and {files} large blobs, {bytes} bytes{torn}");
    findings.push(Finding::of("blobs", found, problems));
    Some(inspection)
}

fn look_at_references(reader: &dyn Reader, inspected: &Inspected) -> Finding {
    let mut problems = Problems::default();
    match references::check(reader, inspected, &mut |missing| problems.add(missing)) {
        Ok(()) => Finding::of("references", "every blob that is needed was looked for", problems),
        Err(error) => Finding::wrong("references", chain(&error)),
    }
}

/// The blobs of every namespace that has any.
struct Inspected(BTreeMap<Namespace, Inspection>);

impl HeldByAll for Inspected {
    fn of(&self, namespace: &Namespace) -> &dyn Held {
        match self.0.get(namespace) {
            Some(inspection) => inspection,
            None => &Nothing,
        }
    }
}

/// Of a namespace without blobs.
struct Nothing;

impl Held for Nothing {
    fn holds(&self, _: &Hash) -> bool {
        false
    }

    fn read(&self, _: &Hash) -> Option<Bytes> {
        None
    }
}

impl Held for Inspection {
    fn holds(&self, digest: &Hash) -> bool {
        Inspection::holds(self, digest)
    }

    fn read(&self, digest: &Hash) -> Option<Bytes> {
        self.get(digest).ok()
    }
}

/// So many problems, and the number of the others.
#[derive(Default)]
struct Problems {
    told: Vec<String>,
    others: u64,
}

impl Problems {
    fn add(&mut self, problem: String) {
        if self.told.len() < TOLD {
            self.told.push(problem);
        } else {
            self.others += 1;
        }
    }

    fn finish(mut self) -> Vec<String> {
        if self.others > 0 {
            self.told.push(format!("and {} more", self.others));
        }
        self.told
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use walkdir::WalkDir;

    use super::*;

    /// A copy of the data directory that is checked in.
    fn directory() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/format-{}", format::FORMAT));
        for (path, content) in files(&from) {
            let to = dir.path().join(path.strip_prefix(&from).unwrap());
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::write(to, content).unwrap();
        }
        dir
    }

    fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
        let entries = WalkDir::new(dir).into_iter().map(Result::unwrap);
        let files = entries.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path);
        files.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
    }

    /// What is found, and that nothing was changed.
    fn look(dir: &Path, mut go_on: impl FnMut(Progress) -> bool) -> Vec<Finding> {
        let (before, scratch) = (files(dir), tempfile::tempdir().unwrap());
        let found = inspect(dir, scratch.path(), &Options::default(), &mut go_on);
        assert!(files(dir) == before, "something was changed");
        found
    }

    fn parts(findings: &[Finding]) -> Vec<(&'static str, usize)> {
        findings.iter().map(|finding| (finding.part, finding.problems.len())).collect()
    }

    #[test]
    fn every_part_is_looked_at() {
        let findings = look(directory().path(), |_| true);
        let parts: Vec<_> = findings.iter().map(|finding| finding.part).collect();
        assert_eq!(parts, ["coordinator", "format", "store", "records", "blobs", "references"]);
        let sound = findings.iter().filter(|finding| finding.part != "references");
        sound.for_each(|finding| assert_eq!(finding.problems, Vec::<String>::new(), "{}", finding.part));
        assert!(findings[3].found.contains("4 jobs"), "{findings:#?}");
    }

    #[test]
    fn what_is_wrong_is_told_of_its_part_and_the_rest_is_looked_at_still() {
        let dir = directory();
        fs::remove_file(dir.path().join("store/high-water")).unwrap();
        let pack = dir.path().join("blobs/packs/0000000001.pack");
        fs::write(&pack, &fs::read(&pack).unwrap()[..20_000]).unwrap();
        let findings = look(dir.path(), |_| true);
        assert_eq!(parts(&findings), [("coordinator", 0), ("format", 0), ("store", 1), ("blobs", 0)]);
        assert!(findings[2].problems[0].contains("high-water"), "{findings:#?}");
        fs::remove_dir_all(dir.path().join("store")).unwrap();
        assert_eq!(parts(&look(dir.path(), |_| true)), [("coordinator", 0), ("format", 0), ("store", 1), ("blobs", 0)]);
    }

    #[test]
    fn of_another_format_nothing_more_is_said() {
        let dir = directory();
        fs::write(dir.path().join(format::FILE), "99\n").unwrap();
        assert_eq!(parts(&look(dir.path(), |_| true)), [("coordinator", 0), ("format", 1)]);
    }

    #[test]
    fn where_nothing_is_that_is_said() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(parts(&look(dir.path(), |_| true)), [("directory", 1)]);
    }

    #[test]
    fn it_ends_when_nobody_wants_to_go_on() {
        let findings = look(directory().path(), |_| false);
        assert_eq!(parts(&findings).last(), Some(&("blobs", 1)));
    }

    #[test]
    fn so_many_problems_are_told_and_the_others_counted() {
        let mut problems = Problems::default();
        (0..TOLD + 7).for_each(|n| problems.add(n.to_string()));
        let told = problems.finish();
        assert_eq!((told.len(), told[TOLD].as_str()), (TOLD + 1, "and 7 more"));
    }
}
