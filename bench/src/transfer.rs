//! Items that carry something: 64 KiB and 16 MiB in and out, beside `cp` of the same files on the same disk.

mod copy;
pub mod files;
mod ours;

use anyhow::Result;
use clap::Args;

use self::{
    copy::{Copy, Sync},
    files::Files,
    ours::{Ours, Way},
};
use crate::{
    contender::{Contenders, compare},
    image,
    report::Report,
    setup::{Rounds, Setup},
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
