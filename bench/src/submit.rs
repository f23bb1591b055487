//! Submissions and fetches: many small files, and a few large ones, beside `tar` and `cp` on the same disk.
//!
//! Each round has, of each tree: its submission to a coordinator that has seen nothing, up to the acknowledgement (no
//! worker is there); the same again, all of it known; and `tar` or `cp` of it, synced. Then, of jobs that have ended, a fetch
//! of their outputs, and `tar x` or `cp` of the same files. Everything that is read is in the page cache.
//!
//! Nothing is removed before the end, because that would make the file system slow for what follows.

mod server;
mod tree;

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use clap::Args;

use self::server::Server;
use crate::{
    processes,
    report::{Group, Report},
    run::{Run, count},
    setup::{Rounds, Setup},
};

/// Bytes of a large file.
const LARGE_BYTES: usize = 16 << 20;

/// Flags of `submit`.
#[derive(Debug, Args)]
pub struct SubmitArgs {
    #[command(flatten)]
    pub setup: Setup,
    /// Small files in a tree
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub files: usize,
    /// Small outputs to fetch: each is made by an item of its own, beforehand
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub outputs: usize,
    /// Files of 16 MiB, and outputs of that size
    #[arg(long, value_name = "N", default_value_t = 32)]
    pub large: usize,
}

/// Measures both directions.
pub fn run(args: &SubmitArgs, rounds: &Rounds) -> Result<Report> {
    let (binary, room) = (args.setup.longshore()?, args.setup.dir()?);
    let trees = [
        Tree::small(room.path(), "unique", "small files", args.files, 1)?,
        Tree::small(room.path(), "repeated", "small files, each content four times", args.files, 4)?,
        Tree::large(room.path(), "large", "16 MiB files", args.large)?,
    ];
    let outputs = [
        Tree::small(room.path(), "outputs", "small outputs", args.outputs, 1)?,
        Tree::large(room.path(), "large-outputs", "16 MiB outputs", args.large)?,
    ];
    let outputs = outputs.into_iter().map(|tree| Made::of(tree, &binary)).collect::<Result<Vec<_>>>()?;
    let mut submissions: Vec<Group> = trees.iter().map(|tree| tree.group("submitted")).collect();
    let mut fetches: Vec<Group> = outputs.iter().map(|made| made.tree.group("fetched")).collect();
    for round in 1..=rounds.rounds {
        for (tree, group) in trees.iter().zip(&mut submissions) {
            eprintln!("{}, round {round} of {}", tree.title, rounds.rounds);
            tree.submit(group, &binary, round)?;
        }
        for (made, group) in outputs.iter().zip(&mut fetches) {
            eprintln!("{}, round {round} of {}", made.tree.title, rounds.rounds);
            made.fetch(group, round)?;
        }
    }
    let mut report = Report::new();
    report.groups.extend(submissions);
    report.groups.extend(fetches);
    report.note(args.setup.disk()?);
    report.note(
        "what a submission acknowledges is durable; what is fetched is not synced, nor is what tar x and cp make",
    );
    Ok(report)
}

/// Files to submit, or that outputs are made of.
struct Tree {
    /// Where all of them are.
    room: PathBuf,
    name: &'static str,
    title: &'static str,
    files: usize,
    bytes: u64,
    is_large: bool,
}

impl Tree {
    fn small(room: &Path, name: &'static str, title: &'static str, files: usize, times: usize) -> Result<Self> {
        let bytes = tree::small(&room.join(name), files, times)?;
        Ok(Self { room: room.to_owned(), name, title, files, bytes, is_large: false })
    }

    fn large(room: &Path, name: &'static str, title: &'static str, files: usize) -> Result<Self> {
        let bytes = tree::large(&room.join(name), files, LARGE_BYTES)?;
        Ok(Self { room: room.to_owned(), name, title, files, bytes, is_large: true })
    }

    /// A new name beside the tree.
    fn beside(&self, what: &str) -> PathBuf {
        self.room.join(format!("{}.{what}", self.name))
    }

    fn path(&self) -> PathBuf {
        self.room.join(self.name)
    }

    fn group(&self, done: &str) -> Group {
        Group::new(&format!("{} {} {done}", self.files, self.title), "files/s")
    }

    /// First and second submission, and the peer's copy.
    fn submit(&self, group: &mut Group, binary: &Path, round: usize) -> Result<()> {
        let server = Server::start(binary, &self.beside(&format!("{round}.data")))?;
        for (name, does) in [
            ("longshore submit", "hashed, uploaded, acknowledged durably"),
            ("longshore submit, again", "the same files to the same coordinator"),
        ] {
            let mut submit = server.command();
            submit.args(["submit", "-q", "none"]).arg(self.path()).args(["--", "true"]).stdout(Stdio::null());
            group.add(name, does, self.measure(&mut submit, Some(&server))?);
        }
        let (name, script) = match self.is_large {
            true => ("cp, synced", "cp -r \"$1\" \"$2\" && sync \"$2\"/*"),
            false => ("tar, synced", "tar cf \"$2\" -C \"$1\" . && sync \"$2\""),
        };
        let mut copy = shell(script);
        copy.arg(self.path()).arg(self.beside(&format!("{round}.copy")));
        group.add(name, script, self.measure(&mut copy, None)?);
        Ok(())
    }

    fn measure(&self, command: &mut Command, server: Option<&Server>) -> Result<Run> {
        // What was written before is not to be paid for by what comes next.
        rustix::fs::sync();
        let coordinator = || server.map_or(Ok(Duration::ZERO), Server::cpu);
        let children = || Ok::<_, anyhow::Error>(processes::of(std::process::id())?.children);
        let before = (children()?, coordinator()?);
        let started = Instant::now();
        let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
        let wall = started.elapsed();
        processes::ensure_success(command, status)?;
        // Sizes of files are far below what an f64 holds exactly.
        #[allow(clippy::cast_precision_loss)]
        let megabytes = self.bytes as f64 / 1e6;
        let run = Run::rate("files/s", count(self.files), wall).with("MB/s", megabytes / wall.as_secs_f64());
        let run = run.with("s", wall.as_secs_f64());
        let run = run.with_cpu("command", children()?.saturating_sub(before.0), self.files);
        Ok(match server {
            Some(_) => run.with_cpu("coordinator", coordinator()?.saturating_sub(before.1), self.files),
            None => run,
        })
    }
}

/// A job that has ended, each of whose outputs is a file of the tree.
struct Made {
    tree: Tree,
    server: Server,
    /// Where the peer takes the same files from: an archive, or the tree.
    from: PathBuf,
}

impl Made {
    fn of(tree: Tree, binary: &Path) -> Result<Self> {
        eprintln!("making {} {}", tree.files, tree.title);
        let server = Server::start(binary, &tree.beside("made.data"))?;
        let worker = server.worker(&tree.beside("made.worker"))?;
        let mut run = server.command();
        run.args(["run", "-q", "none"]).arg(tree.path()).args(["--", "cat"]).stdout(Stdio::null());
        let status = run.status()?;
        processes::ensure_success(&run, status)?;
        drop(worker);
        let from = if tree.is_large { tree.path() } else { tree.beside("tar") };
        if !tree.is_large {
            let mut tar = shell("tar cf \"$2\" -C \"$1\" .");
            let status = tar.arg(tree.path()).arg(&from).status()?;
            processes::ensure_success(&tar, status)?;
        }
        Ok(Self { tree, server, from })
    }

    /// A fetch, and the peer's copy.
    fn fetch(&self, group: &mut Group, round: usize) -> Result<()> {
        let out = |whose: &str| self.tree.beside(&format!("{round}.{whose}"));
        let mut fetch = self.server.command();
        fetch.args(["job", "outputs", "-q", "last", "-o"]).arg(out("ours")).stdout(Stdio::null());
        let does = "listed, verified, each renamed into place";
        group.add("longshore job outputs -o", does, self.tree.measure(&mut fetch, Some(&self.server))?);
        let (name, script) = match self.tree.is_large {
            true => ("cp", "cp -r \"$1\" \"$2\""),
            false => ("tar x", "mkdir \"$2\" && tar xf \"$1\" -C \"$2\""),
        };
        let mut copy = shell(script);
        copy.arg(&self.from).arg(out("peer"));
        group.add(name, script, self.tree.measure(&mut copy, None)?);
        Ok(())
    }
}

/// A script whose arguments follow.
fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]);
    command
}
