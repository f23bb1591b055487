//! What a query costs that goes to many leaves, beside one client that asks the same servers at once by itself.

mod bare;
mod flags;

use std::time::Duration;

use anyhow::Result;

pub use self::flags::FanOutArgs;
use crate::{
    contender::{Contenders, compare},
    http::leaf::{Kind, Leaf},
    image::{SERVE, ServerImage},
    longshore::Work,
    report::Report,
    setup::Rounds,
};

/// Measures each number of leaves.
pub fn run(args: &FanOutArgs, rounds: &Rounds) -> Result<Report> {
    let image = ServerImage::make()?;
    let work = Work { is_server: true, ..Work::command(&image.name, &SERVE) };
    let lasting = Duration::from_secs(args.seconds);
    let mut report = Report::new();
    for &leaves in &args.leaves {
        let ours = |merges| {
            let leaf = Leaf::new(Kind::Socket, &args.setup, work.clone(), args.queries, args.bytes, lasting);
            Box::new(leaf.of_shards(leaves, merges))
        };
        let bare = Box::new(bare::Bare::new(image.name.clone(), leaves, args.queries, args.bytes, lasting));
        let contenders: Contenders = vec![ours(true), ours(false), bare];
        compare(&mut report, &format!("a query to {leaves} leaves"), "p50 µs", contenders, rounds)?;
    }
    report.note(args.setup.disk()?);
    report.note("the server is the examples' echo, in all rows; the merge container is one more of it");
    Ok(report)
}
