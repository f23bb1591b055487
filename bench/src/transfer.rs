//! Items that carry something: 64 KiB and 16 MiB in and out, beside `cp` of the same files on the same disk.

mod copy;
mod ours;

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
};

use anyhow::{Context, Result};
use clap::Args;

use self::{
    copy::{Copy, Sync},
    ours::{Ours, Way},
};
use crate::{
    args::{Rounds, Setup},
    contender::{Contenders, compare},
    image,
    report::Report,
};

/// Flags of `transfer`.
#[derive(Debug, Args)]
pub struct TransferArgs {
    #[command(flatten)]
    pub setup: Setup,
    /// Items of 64 KiB in one run
    #[arg(long, value_name = "N", default_value_t = 8_000)]
    pub small_items: usize,
    /// Items of 16 MiB in one run
    #[arg(long, value_name = "N", default_value_t = 128)]
    pub large_items: usize,
}

/// A set of files.
#[derive(Debug, Clone, Copy)]
pub struct Files {
    /// How many.
    pub items: usize,
    /// Bytes of each.
    pub bytes: usize,
}

/// The command that makes a new output of an input: all but its first byte, so that no store has it already.
const SHIFT: [&str; 6] = ["dd", "bs=1M", "status=none", "iflag=skip_bytes", "skip=1", "if={in}"];

/// Measures both sizes.
pub fn run(args: &TransferArgs, rounds: &Rounds) -> Result<Report> {
    let image = image::ensure(&args.setup.image)?;
    let mut report = Report::new();
    for (title, items, bytes) in
        [("64 KiB in and out", args.small_items, 64 << 10), ("16 MiB in and out", args.large_items, 16 << 20)]
    {
        let files = Files { items, bytes };
        let ours = |way| Box::new(Ours { way, setup: args.setup.clone(), image: image.clone(), files });
        let copy = |each, sync| Box::new(Copy { each, sync, setup: args.setup.clone(), files });
        let contenders: Contenders = vec![
            ours(Way::Stored),
            ours(Way::Whole),
            ours(Way::Same),
            Box::new(copy::InContainer { setup: args.setup.clone(), image: image.clone(), files }),
            copy(true, Sync::AtTheEnd),
            copy(true, Sync::Never),
            copy(false, Sync::AtTheEnd),
            copy(false, Sync::Never),
        ];
        compare(&mut report, title, "MB/s", contenders, rounds)?;
    }
    report.note(args.setup.disk()?);
    report.note(
        "MB/s: 10^6 bytes of input per second; inputs are new in every run, in the page cache, and synced before it",
    );
    report.note(
        "what is synced is to be compared: Longshore acknowledges an upload, and counts an output, once it is durable",
    );
    Ok(report)
}

/// Makes files of which no two are the same, nor the same as in another run.
pub fn make(dir: &Path, files: Files) -> Result<()> {
    fs::create_dir(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    // Numbers that do not repeat within a file, so that nothing on the way can make them smaller.
    let mut state = u64::from(std::process::id()) << 32 | 1;
    let mut contents: Vec<u8> = Vec::with_capacity(files.bytes);
    while contents.len() < files.bytes {
        // Marsaglia, "Xorshift RNGs" (2003).
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        contents.extend(state.to_le_bytes());
    }
    let run = tempfile::NamedTempFile::new()?.path().display().to_string();
    for item in 0..files.items {
        let stamp = format!("{run} {item} ");
        // The first byte is dropped by the command that makes outputs.
        contents[1..=stamp.len()].copy_from_slice(stamp.as_bytes());
        File::create(dir.join(format!("{item:06}")))?.write_all(&contents[..files.bytes])?;
    }
    rustix::fs::sync();
    Ok(())
}
