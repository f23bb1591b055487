//! The repository's own rules: headers, sizes, arrows between crates and between their files, nothing left half done.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod arrows;
mod circles;
mod modules;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use toml::Table;
use walkdir::WalkDir;

/// Longest file in lines: what is longer has two charges.
const LINES: usize = 600;

/// Every crate of ours and all of ours that it may know, also for its tests unless these are beside it.
///
/// Arrows run one way (ARCHITECTURE.md): the pure parts know nothing of ours, adapters know the pure parts, programs know
/// adapters.
const ARROWS: &[(&str, &[&str])] = &[
    ("longshore-core", &[]),
    ("longshore-drive", &["longshore-core"]),
    ("longshore-shim", &[]),
    ("longshore-contract", &[]),
    ("longshore-proto", &[]),
    ("longshore-local", &[]),
    ("longshore-trust", &[]),
    ("longshore-way", &["longshore-local", "longshore-trust"]),
    ("longshore-authority", &["longshore-local", "longshore-trust"]),
    ("longshore-store", &[]),
    ("longshore-blobs", &[]),
    ("merger-sdk", &["longshore-contract"]),
    ("longshore-root", &[]),
    ("longshore-client", &["longshore-local", "longshore-proto", "longshore-way"]),
    (
        "longshore-worker",
        &[
            "longshore-contract",
            "longshore-local",
            "longshore-proto",
            "longshore-root",
            "longshore-shim",
            "longshore-trust",
            "longshore-way",
        ],
    ),
    (
        "longshore-coordinator",
        &[
            "longshore-authority",
            "longshore-blobs",
            "longshore-contract",
            "longshore-core",
            "longshore-drive",
            "longshore-local",
            "longshore-proto",
            "longshore-root",
            "longshore-store",
            "longshore-trust",
        ],
    ),
    ("longshore-examples", &["merger-sdk"]),
    (
        "longshore",
        &[
            "longshore-client",
            "longshore-contract",
            "longshore-coordinator",
            "longshore-local",
            "longshore-trust",
            "longshore-way",
            "longshore-worker",
        ],
    ),
    ("bench", &["longshore-client", "longshore-local", "longshore-proto", "longshore-trust", "longshore-way"]),
    ("integration-tests", &["longshore-core", "longshore-drive", "longshore-proto", "merger-sdk"]),
];

/// The crates in which everything is decided, with all that they may depend on: nothing with a clock, IO, tasks or dice.
const PURE: [(&str, &str, &[&str]); 2] = [
    ("longshore-core", "coordinator/core/src", &["thiserror"]),
    ("longshore-drive", "coordinator/drive/src", &["longshore-core"]),
];

fn root() -> PathBuf {
    integration_tests::real::repository()
}

/// Every file of the repository with this name or extension, without what is built.
fn files(wanted: impl Fn(&Path) -> bool) -> Vec<(PathBuf, String)> {
    let root = root();
    let here = |entry: &walkdir::DirEntry| {
        let name = entry.file_name().to_string_lossy();
        entry.depth() == 0 || !(name == "target" || name.starts_with('.'))
    };
    let entries = WalkDir::new(&root).sort_by_file_name().into_iter().filter_entry(here).map(Result::unwrap);
    let wanted = entries.filter(|entry| entry.file_type().is_file() && wanted(entry.path()));
    let read = wanted.map(|entry| {
        let below = entry.path().strip_prefix(&root).unwrap().to_owned();
        (below, fs::read_to_string(entry.path()).unwrap())
    });
    read.collect()
}

fn is_source(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rs")
}

fn sources() -> Vec<(PathBuf, String)> {
    let sources = files(is_source);
    assert!(sources.len() > 100, "the sources are not where they were: {}", sources.len());
    sources
}

/// Every manifest with a package, by the package's name.
fn manifests() -> BTreeMap<String, Table> {
    let found = files(|path| path.file_name().is_some_and(|name| name == "Cargo.toml")).into_iter();
    let tables = found.map(|(_, text)| text.parse::<Table>().unwrap());
    let named = tables.filter_map(|table| Some((table.get("package")?["name"].as_str()?.to_owned(), table)));
    named.collect()
}

/// Names of what a package depends on, in these sections, also on some targets only.
fn dependencies(manifest: &Table, sections: &[&str]) -> BTreeSet<String> {
    let targets = manifest.get("target").and_then(|targets| targets.as_table());
    let targets = targets.into_iter().flat_map(|targets| targets.values()).filter_map(|target| target.as_table());
    let parts: Vec<&Table> = targets.chain([manifest]).collect();
    let all = parts.iter().flat_map(|part| sections.iter().filter_map(|section| part.get(*section)?.as_table()));
    all.flat_map(|table| table.keys().cloned()).collect()
}

#[test]
fn every_source_file_opens_with_its_charge() {
    let mute: Vec<_> =
        sources().into_iter().filter(|(_, text)| !text.starts_with("//! ")).map(|(path, _)| path).collect();
    assert!(mute.is_empty(), "these do not open with `//!`: {mute:#?}");
}

#[test]
fn no_source_file_is_longer_than_it_should_be() {
    let counted = sources().into_iter().map(|(path, text)| (path, text.lines().count()));
    let long: Vec<_> = counted.filter(|(_, lines)| *lines > LINES).collect();
    assert!(long.is_empty(), "these have more than {LINES} lines: {long:#?}");
}

#[test]
fn nothing_is_left_half_done() {
    // In two halves, so that this file is not found.
    let forbidden =
        [["todo", "!("], ["unimplemented", "!("], ["#[ig", "nore"], ["db", "g!("]].map(|halves| halves.concat());
    let mut found = Vec::new();
    for (path, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            if forbidden.iter().any(|word| line.contains(word.as_str())) {
                found.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn arrows_between_crates_run_one_way() {
    let manifests = manifests();
    let known: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    let there: BTreeSet<&str> = manifests.keys().map(String::as_str).collect();
    assert_eq!(there, known, "every crate has its arrows written down here");
    for &(name, allowed) in ARROWS {
        let all = dependencies(&manifests[name], &["dependencies", "build-dependencies"]);
        let ours: BTreeSet<&str> = all.iter().map(String::as_str).filter(|name| known.contains(name)).collect();
        let stray: Vec<_> = ours.iter().filter(|ours| !allowed.contains(ours)).collect();
        assert!(stray.is_empty(), "{name} must not depend on {stray:?}");
    }
}

#[test]
fn every_dependency_of_the_workspace_is_some_crates() {
    let workspace: Table = fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let named = workspace["workspace"]["dependencies"].as_table().unwrap().keys();
    let sections = ["dependencies", "dev-dependencies", "build-dependencies"];
    let used: BTreeSet<String> = manifests().values().flat_map(|manifest| dependencies(manifest, &sections)).collect();
    let idle: Vec<_> = named.filter(|name| !used.contains(*name)).collect();
    assert!(idle.is_empty(), "no crate depends on {idle:?}");
}

#[test]
fn no_crate_is_reached_from_itself() {
    let arrows: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    for &(name, _) in ARROWS {
        let (mut seen, mut next) = (BTreeSet::new(), arrows[name].to_vec());
        while let Some(other) = next.pop() {
            assert_ne!(other, name, "{name} reaches itself");
            if seen.insert(other) {
                next.extend(arrows[other]);
            }
        }
    }
}

/// Roots of a crate's library, programs, tests and examples, by its package's name.
fn targets() -> Vec<(String, PathBuf)> {
    let manifests = files(|path| path.file_name().is_some_and(|name| name == "Cargo.toml")).into_iter();
    let mut targets = Vec::new();
    for (path, text) in manifests {
        let manifest: Table = text.parse().unwrap();
        let Some(name) = manifest.get("package").and_then(|package| package["name"].as_str()) else { continue };
        let dir = root().join(path.parent().unwrap());
        let named = manifest.get("bin").and_then(|programs| programs.as_array()).into_iter().flatten();
        let named = named.filter_map(|program| Some(PathBuf::from(program.get("path")?.as_str()?)));
        let usual = ["src/lib.rs", "src/main.rs", "build.rs"].map(PathBuf::from);
        let beside = ["src/bin", "tests", "benches", "examples"].map(|below| fs::read_dir(dir.join(below)));
        let beside = beside.into_iter().flatten().flatten().map(|entry| entry.unwrap().path());
        let beside = beside.map(|path| if path.is_dir() { path.join("main.rs") } else { path });
        let roots: BTreeSet<PathBuf> = named.chain(usual).chain(beside).map(|root| dir.join(root)).collect();
        let roots = roots.into_iter().filter(|root| root.is_file() && is_source(root));
        targets.extend(roots.map(|root| (name.to_owned(), root)));
    }
    targets
}

#[test]
fn no_file_is_reached_from_itself() {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, root) in targets() {
        found.entry(name).or_default().extend(circles::circles(&root));
    }
    assert!(found.len() >= ARROWS.len(), "the targets are not where they were: {:?}", found.keys());
    found.retain(|_, circles| !circles.is_empty());
    assert!(
        found.is_empty(),
        "files use each other in a circle, and what both need has to be in a file of its own: {found:#?}"
    );
}

#[test]
fn what_decides_has_no_clock_no_io_and_no_dice() {
    let (manifests, sources) = (manifests(), sources());
    let impure = ["std::time::Instant", "SystemTime", "std::fs", "std::net", "std::thread", "std::env", "async fn"];
    for (name, below, allowed) in PURE {
        let all = dependencies(&manifests[name], &["dependencies", "build-dependencies"]);
        let stray: Vec<_> = all.iter().filter(|name| !allowed.contains(&name.as_str())).collect();
        assert!(stray.is_empty(), "{name} must not depend on {stray:?}");
        for (path, text) in sources.iter().filter(|(path, _)| path.starts_with(below)) {
            let found = impure.iter().find(|word| text.contains(*word));
            assert_eq!(found, None, "in {}", path.display());
        }
    }
}
