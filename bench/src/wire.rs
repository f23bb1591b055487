//! What it costs to come in by another way: the same items, queries and blobs by the socket, by the port with a token, and by
//! TLS, all on loopback.

mod blob;
mod flags;
mod gate;
mod handshakes;
mod items;
mod join;

use std::time::Duration;

use anyhow::Result;

pub use self::flags::WireArgs;
use crate::{
    contender::{Contenders, compare},
    http::leaf::{Kind, Leaf},
    image::{self, SERVE, ServerImage},
    longshore::{Entry, Work},
    report::Report,
    setup::Rounds,
};

/// Measures items, queries, a large blob, joining and handshakes.
pub fn run(args: &WireArgs, rounds: &Rounds) -> Result<Report> {
    let image = image::ensure(&args.setup.image)?;
    let server = ServerImage::make()?;
    let work = Work { is_server: true, ..Work::command(&server.name, &SERVE) };
    let mut report = Report::new();
    let items: Contenders =
        Entry::ALL.map(|entry| Box::new(items::Items::by(entry, args, &image)) as Box<_>).into_iter().collect();
    compare(&mut report, "trivial items", "items/s", items, rounds)?;
    let lasting = Duration::from_secs(args.seconds);
    let leaf = |entry| Leaf::new(Kind::Grpc, &args.setup, work.clone(), 1, args.bytes, lasting).reached_by(entry);
    let queries: Contenders = Entry::ALL.map(|entry| Box::new(leaf(entry)) as Box<_>).into_iter().collect();
    compare(&mut report, "queries, 1 at once", "p50 µs", queries, rounds)?;
    let blobs: Contenders =
        Entry::ALL.map(|entry| Box::new(blob::Blob::by(entry, args)) as Box<_>).into_iter().collect();
    compare(&mut report, "a large blob in", "MB/s", blobs, rounds)?;
    let gate: Contenders =
        gate::Shown::ALL.map(|shown| Box::new(gate::Gate::showing(shown, args)) as Box<_>).into_iter().collect();
    compare(&mut report, "the gate", "µs a request", gate, rounds)?;
    let joins: Contenders = vec![Box::new(join::Join::new(args, &image))];
    compare(&mut report, "from token to first item", "ms", joins, rounds)?;
    let shakes: Contenders = vec![Box::new(handshakes::Handshakes::new(args))];
    compare(&mut report, "handshakes", "handshakes/s", shakes, rounds)?;
    report.note(args.setup.disk()?);
    report.note("coordinator and worker are processes of their own; large blobs by the socket travel as descriptors");
    Ok(report)
}
