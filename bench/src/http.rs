//! Servers that stay up: requests through Longshore, as items of a stage and as queries to a leaf, beside a client that
//! speaks with the same server directly, and nginx before it.

pub mod caller;
pub mod direct;
mod flags;
pub mod leaf;
mod nginx;
mod stage;

use std::time::Duration;

use anyhow::Result;

pub use self::flags::HttpArgs;
use crate::{
    contender::{Contenders, compare},
    image::{SERVE, ServerImage},
    longshore::Work,
    report::Report,
    setup::Rounds,
};

/// Measures stage and leaf.
pub fn run(args: &HttpArgs, rounds: &Rounds) -> Result<Report> {
    let image = ServerImage::make()?;
    let work = Work { is_server: true, ..Work::command(&image.name, &SERVE) };
    let lasting = Duration::from_secs(args.seconds);
    let slots = args.setup.slots;
    let direct = |servers, connections| {
        let (image, bytes) = (image.name.clone(), args.bytes);
        Box::new(direct::Direct::new(image, servers, connections, bytes, lasting))
    };
    let mut report = Report::new();
    let title = format!("an http stage, {slots} slots");
    let stage: Contenders = vec![Box::new(stage::Stage::new(args, work.clone())), direct(slots, slots)];
    compare(&mut report, &title, "requests/s", stage, rounds)?;
    for queries in [1, args.queries] {
        let leaf = |kind| Box::new(leaf::Leaf::new(kind, &args.setup, work.clone(), queries, args.bytes, lasting));
        let nginx = Box::new(nginx::Nginx::new(image.name.clone(), queries, args.bytes, lasting));
        let contenders: Contenders =
            vec![leaf(leaf::Kind::Socket), leaf(leaf::Kind::Http), leaf(leaf::Kind::Grpc), nginx, direct(1, queries)];
        compare(&mut report, &format!("a leaf, {queries} at once"), "requests/s", contenders, rounds)?;
    }
    report.note(args.setup.disk()?);
    report.note("the server is the examples' echo; the client is this program, in all rows but the stage's");
    Ok(report)
}
